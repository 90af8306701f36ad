SELECT "id", "region", "at", "day", "hash", "Odd ""one"""
FROM "app"."usage"
WHERE "id" IS NOT NULL
  AND "id" >= CAST($1 AS BIGINT)
ORDER BY "id"
-- $1 = 7
