SELECT "ID", "REGION", "AT", "DAY", "PRICE", "Odd ""one"""
FROM "ANALYTICS"."Marts"."fct usage"
WHERE "ID" < ?
-- 1 = 42 of NUMBER(38,0)
