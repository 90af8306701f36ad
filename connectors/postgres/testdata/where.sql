SELECT "id", "region", "at", "day", "hash", "Odd ""one"""
FROM "app"."usage"
WHERE "Odd ""one""" = CAST($1 AS "Odd"."Mood")
  AND "id" = CAST($2 AS bigint)
LIMIT 1
-- $1 = it's
-- $2 = 42
