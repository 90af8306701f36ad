SELECT "id", "region", "at", "day", "hash", "Odd ""one"""
FROM "app"."usage"
LIMIT 5
