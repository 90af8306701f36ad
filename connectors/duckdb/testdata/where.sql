SELECT "id", "region", "at", "day", "hash", "Odd ""one"""
FROM "app"."usage"
WHERE "Odd ""one""" = CAST($1 AS ENUM('sad', 'it''s'))
  AND "id" = CAST($2 AS BIGINT)
LIMIT 1
-- $1 = it's
-- $2 = 42
