SELECT `id`, `region`, `at`, `day`, `local`, `Odd 'one'`
FROM `my-project.app.usage`
WHERE `local` >= @p1
-- @p1 DATETIME = 2026-01-01T00:00:00
