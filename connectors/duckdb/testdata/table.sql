SELECT "id", "region", "at", "day", "hash", "Odd ""one"""
FROM "app"."usage"
WHERE "at" <= CAST($1 AS TIMESTAMP WITH TIME ZONE)
ORDER BY "at", "id"
-- $1 = 2026-01-31T12:00:00Z
