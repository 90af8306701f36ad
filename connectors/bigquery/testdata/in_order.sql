SELECT `id`, `region`, `at`, `day`, `local`, `Odd 'one'`
FROM `my-project.app.usage`
WHERE `at` <= @p1
ORDER BY `at`
-- @p1 TIMESTAMP = 2026-01-31T12:00:00Z
