SELECT `id`, `region`, `at`, `day`, `local`, `Odd 'one'`
FROM `my-project.app.usage`
WHERE `at` >= @p1
  AND `at` <= @p2
-- @p1 TIMESTAMP = 2026-01-01T00:00:00Z
-- @p2 TIMESTAMP = 2026-01-31T12:00:00Z
