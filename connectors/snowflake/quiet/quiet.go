// Package quiet keeps Snowflake's driver from what it does while it is initialised,
// in every process that it is linked into, whatever warehouse is read: unpacking a
// native library into the user's cache and loading it, which is fatal in a program
// that is linked statically, and making a folder there for tokens that people get
// by a browser.
//
// The driver asks environment variables, which this package sets unless they are
// set. It comes in time because Go initialises packages in the order of their
// paths as soon as what they import is there, and this one imports next to nothing.
// Source: the Go specification, "Program initialization"; gosnowflake's doc.go,
// "Minicore".
package quiet

import "os"

func init() {
	for name, value := range map[string]string{
		"SF_DISABLE_MINICORE":               "true",
		"SF_TEMPORARY_CREDENTIAL_CACHE_DIR": os.TempDir(), // which is there; nothing that mixsync logs in by is kept
	} {
		if _, set := os.LookupEnv(name); !set {
			_ = os.Setenv(name, value) // the driver works either way
		}
	}
}
