SELECT * FROM `app.usage`

SELECT 1 AS found
FROM `app.usage`
WHERE `at` IS NULL
LIMIT 1

SELECT max(`at`) AS bound
FROM `app.usage`
WHERE `at` IS NOT NULL

SELECT count(*) AS n
FROM (SELECT 1 AS one
FROM `app.usage`
WHERE `at` IS NOT NULL
LIMIT 1000) AS part

SELECT max(`at`) AS bound
FROM `app.usage`
WHERE `at` <= @p1
-- @p1 TIMESTAMP = 2026-01-31 12:00:00.000001+00:00

SELECT count(*) AS n
FROM (SELECT 1 AS one
FROM `app.usage`
WHERE `at` >= @p1
LIMIT 1000) AS part
-- @p1 TIMESTAMP = 2026-01-31 12:00:00.000001+00:00

SELECT CURRENT_TIMESTAMP() AS now

