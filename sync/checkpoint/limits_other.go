//go:build !unix

package checkpoint

// Elsewhere there is no file-size limit per process, and SQLite reports a full
// disk itself.
func fileSizeLimit() string { return "" }

func isFull(error) bool { return false }

func isReadOnlyFS(error) bool { return false }

func writable(string) bool { return true }
