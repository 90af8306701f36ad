SELECT "id", "region", "at", "day", "hash", "Odd ""one"""
FROM "app"."usage"
WHERE "region" >= CAST($1 AS VARCHAR)
  AND ("region" > CAST($2 AS VARCHAR) OR ("region" = CAST($3 AS VARCHAR) AND ("id" >= CAST($4 AS BIGINT) OR "id" IS NULL)))
ORDER BY "region", "id"
-- $1 = eu
-- $2 = eu
-- $3 = eu
-- $4 = 42
