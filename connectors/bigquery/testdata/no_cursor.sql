SELECT `id`, `region`, `at`, `day`, `local`, `Odd 'one'`
FROM `my-project.app.usage`
