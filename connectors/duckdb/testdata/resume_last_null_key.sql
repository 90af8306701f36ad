SELECT "id", "region", "at", "day", "hash", "Odd ""one"""
FROM "app"."usage"
WHERE "at" IS NOT NULL
  AND "at" >= CAST($1 AS TIMESTAMP WITH TIME ZONE)
  AND ("at" > CAST($2 AS TIMESTAMP WITH TIME ZONE) OR ("at" = CAST($3 AS TIMESTAMP WITH TIME ZONE) AND ("id" > CAST($4 AS BIGINT) OR "id" IS NULL OR ("id" = CAST($5 AS BIGINT) AND ("hash" IS NULL)))))
ORDER BY "at", "id", "hash"
-- $1 = 2026-01-15T00:00:00Z
-- $2 = 2026-01-15T00:00:00Z
-- $3 = 2026-01-15T00:00:00Z
-- $4 = 1
-- $5 = 1
