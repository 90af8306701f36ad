SELECT "id", "region", "at", "day", "hash", "Odd ""one"""
FROM "app"."usage"
WHERE "at" IS NOT NULL
ORDER BY "at", "id"
