SELECT "id", "region", "at", "day", "hash", "Odd ""one"""
FROM 'lake/it''s/*.parquet'
WHERE "at" >= CAST($1 AS TIMESTAMP WITH TIME ZONE)
ORDER BY "at", "id"
-- $1 = 2026-01-01T00:00:00Z
