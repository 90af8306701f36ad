//go:build cgo

package duckdb

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

const (
	extensionHint = "mixsync neither downloads nor loads DuckDB extensions: copy remote files to a local disk first, and turn other formats and " +
		"databases into Parquet or a DuckDB file"
	memoryHint = "raise memory_limit of this warehouse, or lower its threads; a query that reads fewer columns or a shorter range needs less"
)

// refused says that the system keeps the file from us.
func refused(path string, err error) *warehouse.Error {
	return warehouse.Errorf(warehouse.ClassCredentials, "let the user that mixsync runs as read the file, and pass through its folders",
		"database file %s: %w", path, err)
}

// holder finds who holds the lock in DuckDB's message.
var holder = regexp.MustCompile(`Conflicting lock is held in (.+?)\. See also|Conflicting lock is held in (.+)`)

// openError classifies a failure to open a database file.
func openError(path, message string) *warehouse.Error {
	code, text := parse(message)
	e := &warehouse.Error{Class: warehouse.ClassUnreachable, Code: code, Hint: "check path"}
	switch {
	case strings.Contains(text, "Could not set lock"):
		who := "another process"
		if m := holder.FindStringSubmatch(text); m != nil {
			who = m[1] + m[2]
		}
		e.Hint = "DuckDB lets one process write to a file or many read it: let the writer close the file when it is done, " +
			"or give mixsync a copy of it, or Parquet files that the writer exports"
		e.Err = fmt.Errorf("database file %s is locked: %s has it open for writing", path, who)
		return e
	case strings.Contains(text, "different configuration"):
		e.Hint = "close it before a sync reads it"
		e.Err = fmt.Errorf("database file %s is locked: this very process has it open for writing", path)
		return e
	case strings.Contains(text, "Permission denied"):
		return refused(path, fmt.Errorf("permission denied"))
	case strings.Contains(text, "not a valid DuckDB database"):
		e.Class = warehouse.ClassConfig
		e.Hint = "path is for DuckDB's own files; to query Parquet, CSV or JSON leave path out and name the files in table or query; an SQLite file has to be copied into DuckDB first"
		e.Err = fmt.Errorf("%s is no DuckDB database", path)
		return e
	case strings.Contains(text, "newer version"), strings.Contains(text, "older version"), strings.Contains(text, "version number"):
		e.Class = warehouse.ClassConfig
		e.Hint = "write it with the version of DuckDB that mixsync holds (mixsync version), or export it to Parquet"
	case code == "Serialization", strings.Contains(text, "Corrupt"), strings.Contains(text, "enough bytes"):
		e.Hint = "the file is damaged, or was copied while it was being written: copy it again when its writer has closed it"
	case code == "Out of Memory":
		e.Class = warehouse.ClassConfig
		e.Hint = memoryHint
	}
	e.Err = fmt.Errorf("open database %s: %s", path, text)
	return e
}

// classify classifies a failure of a statement by DuckDB's message.
func classify(message string) *warehouse.Error {
	code, text := parse(message)
	e := &warehouse.Error{Class: warehouse.ClassQuery, Code: code, Err: fmt.Errorf("duckdb: %s", text)}
	switch {
	case strings.Contains(text, "extension") && (code == "Missing Extension" || code == "Catalog" || code == "Autoload" || code == "Extension Autoloading"):
		e.Class = warehouse.ClassConfig
		e.Hint = extensionHint
		if first, _, ok := strings.Cut(text, " Please try installing"); ok {
			e.Err = fmt.Errorf("duckdb: %s", first)
		}
	case code == "Catalog":
		e.Class = warehouse.ClassSchema
		e.Hint = "check the name of table or function; a file is named with its ending, 'events.parquet', and a folder of them as 'events/*.parquet'"
	case code == "Binder":
		e.Class = warehouse.ClassSchema
		e.Hint = "check the names of columns, and that the query is a single SELECT that runs as it stands: try it in duckdb"
		if strings.Contains(text, "mbiguous") {
			e.Hint = "the query returns two columns of this name: give one of them another with AS"
		}
	case code == "Parser", code == "Syntax", code == "Not implemented", strings.Contains(text, "multiple statements"), strings.Contains(text, "No statement"):
		e.Class = warehouse.ClassSchema
		e.Hint = "the query must be a single SELECT that runs as it stands: try it in duckdb"
	case code == "Out of Memory":
		e.Hint = memoryHint
		text, _, _ = strings.Cut(text, " Possible solutions:")
		e.Err = fmt.Errorf("duckdb: out of memory: %s", text)
	case code == "Conversion", code == "Out of Range":
		e.Hint = "a value does not fit the type it is turned into: cast the column with TRY_CAST in a query, which gives NULL for it"
	case code == "IO" && strings.Contains(text, "No files found"):
		e.Class = warehouse.ClassSchema
		e.Hint = "check the path or pattern: a relative one counts from the working directory of mixsync"
	case code == "IO" && strings.Contains(text, "Permission denied"), code == "Permission":
		e.Class = warehouse.ClassCredentials
		e.Hint = "let the user that mixsync runs as read the file, and pass through its folders"
	case code == "IO", code == "HTTP", code == "Invalid Input":
		e.Hint = "check that the file is whole and of the kind that its name says, and that nobody rewrites it meanwhile: " +
			"write a new file under another name and rename it"
	}
	return e
}

// parse splits a message into its kind, "Catalog", and its text on one line,
// without the excerpt of the statement.
func parse(message string) (code, text string) {
	text = message
	if head, rest, ok := strings.Cut(message, " Error: "); ok && len(head) < 32 && !strings.Contains(head, "\n") {
		code, text = head, rest
	}
	if i := strings.Index(text, "\n\nLINE "); i >= 0 {
		text = text[:i]
	}
	if i := strings.Index(text, "\nLINE "); i >= 0 {
		text = text[:i]
	}
	return code, strings.Join(strings.Fields(text), " ")
}
