SELECT `id`, `region`, `at`, `day`, `local`, `Odd 'one'`
FROM (
SELECT * FROM app.usage -- all of it
) AS q
WHERE `day` >= @p1
  AND `day` <= @p2
  AND `day` < @p3
-- @p1 DATE = 2026-01-01
-- @p2 DATE = 2026-01-31
-- @p3 DATE = 2026-01-15
