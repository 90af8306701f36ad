SELECT "id", "region", "at", "day", "hash", "Odd ""one"""
FROM (
SELECT * FROM app.usage -- all of it
) AS q
WHERE "day" >= CAST($1 AS DATE)
  AND "day" <= CAST($2 AS DATE)
  AND "day" < CAST($3 AS DATE)
ORDER BY "day", "id"
-- $1 = 2026-01-01
-- $2 = 2026-01-31
-- $3 = 2026-01-15
