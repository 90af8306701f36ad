SELECT "id", "region", "at", "day", "hash", "Odd ""one"""
FROM "app"."usage"
ORDER BY "region", "id"
