SELECT "ID", "REGION", "AT", "DAY", "PRICE", "Odd ""one"""
FROM (
SELECT * FROM marts.fct_usage -- all of it
) AS q
WHERE "DAY" >= ?
  AND "DAY" <= ?
  AND "DAY" < ?
-- 1 = 2026-01-01 of DATE
-- 2 = 2026-01-31 of DATE
-- 3 = 2026-01-15 of DATE
