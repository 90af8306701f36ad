SELECT "id", "region", "at", "day", "hash", "Odd ""one"""
FROM "app"."usage"
WHERE "at" >= CAST($1 AS timestamp with time zone)
  AND "at" <= CAST($2 AS timestamp with time zone)
  AND "at" >= CAST($3 AS timestamp with time zone)
  AND ("at" > CAST($4 AS timestamp with time zone) OR ("at" = CAST($5 AS timestamp with time zone) AND ("id" >= CAST($6 AS bigint) OR "id" IS NULL)))
ORDER BY "at", "id"
-- $1 = 2026-01-01T00:00:00Z
-- $2 = 2026-01-31T12:00:00Z
-- $3 = 2026-01-15T00:00:00Z
-- $4 = 2026-01-15T00:00:00Z
-- $5 = 2026-01-15T00:00:00Z
-- $6 = 42
