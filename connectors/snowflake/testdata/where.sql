SELECT "ID", "REGION", "AT", "DAY", "PRICE", "Odd ""one"""
FROM "MARTS"."FCT_USAGE"
WHERE "ID" = ?
  AND "PRICE" = CAST(? AS NUMBER(12,2))
  AND "REGION" = ?
LIMIT 1
-- 1 = 42 of NUMBER(38,0)
-- 2 = 12.50 of NUMBER(12,2)
-- 3 = it's of VARCHAR
