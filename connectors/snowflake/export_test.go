package snowflake

// SetRetries sets how often the vendor's driver repeats a request.
func SetRetries(o *Options, n int) { o.retries = n }
