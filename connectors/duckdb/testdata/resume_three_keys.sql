SELECT "id", "region", "at", "day", "hash", "Odd ""one"""
FROM "app"."usage"
WHERE "at" IS NOT NULL
  AND "at" >= CAST($1 AS TIMESTAMP WITH TIME ZONE)
  AND ("at" > CAST($2 AS TIMESTAMP WITH TIME ZONE) OR ("at" = CAST($3 AS TIMESTAMP WITH TIME ZONE) AND ("region" > CAST($4 AS VARCHAR) OR ("region" = CAST($5 AS VARCHAR) AND ("id" > CAST($6 AS BIGINT) OR "id" IS NULL OR ("id" = CAST($7 AS BIGINT) AND ("hash" >= unhex($8) OR "hash" IS NULL)))))))
ORDER BY "at", "region", "id", "hash"
LIMIT 12
-- $1 = 2026-01-15T00:00:00Z
-- $2 = 2026-01-15T00:00:00Z
-- $3 = 2026-01-15T00:00:00Z
-- $4 = eu
-- $5 = eu
-- $6 = 42
-- $7 = 42
-- $8 = 00ff
