// Package configs reads mixsync's YAML.
//
// Load turns a file, or a folder of files, into a File in which every default is
// filled in, every reference such as ${VAR} is expanded and every setting has
// been checked as far as that is possible without a warehouse. All that is wrong
// is reported at once, each Fault with its place and, where it can be guessed,
// how to mend it.
//
// One table of descriptors (describe_*.go) drives reading, defaults, the printed
// form (Effective) and the JSON Schema (Schema), so that none of them can lag
// behind: to add a key is to add one line to a descriptor. The values a key may
// take are codecs (codec*.go); checks that span several keys are in check_*.go.
//
// The package opens no connection and knows no driver. Secrets are of the type
// Secret, which cannot be printed; faults quote what stands in the YAML, never
// what a reference expanded to.
package configs
