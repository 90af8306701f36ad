SELECT `id`, `region`, `at`, `day`, `local`, `Odd 'one'`
FROM `my-project.app.usage`
WHERE `id` >= @p1
  AND `id` <= @p2
-- @p1 INT64 = -7
-- @p2 INT64 = 9007199254740993
