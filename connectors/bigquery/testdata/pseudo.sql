SELECT `id`, `region`, `at`, `day`, `local`, `Odd 'one'`, `_PARTITIONTIME` AS `mixsync_partitiontime`
FROM `my-project.app.usage`
WHERE `_PARTITIONTIME` >= @p1
-- @p1 TIMESTAMP = 2026-01-01T00:00:00Z
