SELECT `id`, `region`, `at`, `day`, `local`, `Odd 'one'`
FROM `my-project.app.usage`
WHERE `Odd 'one'` = @p1
  AND `id` = @p2
LIMIT 1
-- @p1 STRING = it's
-- @p2 INT64 = 42
