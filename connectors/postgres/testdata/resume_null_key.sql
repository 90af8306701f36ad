SELECT "id", "region", "at", "day", "hash", "Odd ""one"""
FROM "app"."usage"
WHERE "at" IS NOT NULL
  AND "at" >= CAST($1 AS timestamp with time zone)
  AND ("at" > CAST($2 AS timestamp with time zone) OR ("at" = CAST($3 AS timestamp with time zone) AND ("id" IS NULL AND ("hash" >= decode($4, 'hex') OR "hash" IS NULL))))
ORDER BY "at", "id", "hash"
-- $1 = 2026-01-15T00:00:00Z
-- $2 = 2026-01-15T00:00:00Z
-- $3 = 2026-01-15T00:00:00Z
-- $4 = 00ff
