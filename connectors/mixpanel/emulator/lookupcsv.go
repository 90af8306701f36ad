package emulator

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxBadRows is how many bad rows an answer names.
const maxBadRows = 10

// checkedCSV is what the check of a lookup table's text found.
type checkedCSV struct {
	columns []string
	rows    int            // without the header
	failed  []failedRecord // the first maxBadRows; index 0 is the header, 1 the first row
}

func (c *checkedCSV) fail(index int, message string) {
	if len(c.failed) < maxBadRows {
		c.failed = append(c.failed, failedRecord{Index: index, Message: message})
	}
}

// checkCSV checks a lookup table: RFC 4180, a header of different names, a key
// in the first column of each row, once.
func (s *Server) checkCSV(q *work, body []byte) *checkedCSV {
	c := new(checkedCSV)
	r := csv.NewReader(bytes.NewReader(body))
	r.FieldsPerRecord = -1 // counted here, so that reading goes on behind a bad row
	r.ReuseRecord = true
	header, err := r.Read()
	if message := badHeader(header, err); message != "" {
		c.fail(0, message)
		return c
	}
	c.columns = slices.Clone(header)
	targets := q.targets()
	first := map[[16]byte]int{} // row of each key
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return c
		}
		c.rows++
		if err != nil { // where the next row begins is anybody's guess
			c.fail(c.rows, "invalid row: "+csvFault(err))
			return c
		}
		message := c.badRow(row, first)
		if message == "" && len(targets) > 0 {
			message = s.target(q, targets, c.rows, row[0]).message
		}
		if message != "" {
			c.fail(c.rows, message)
		}
	}
}

// badHeader tells what is wrong with the header row, if anything.
func badHeader(header []string, err error) string {
	switch {
	case errors.Is(err, io.EOF):
		return "invalid header: the table is empty"
	case err != nil:
		return "invalid header: " + csvFault(err)
	case len(header) < 2:
		return "invalid header: a table needs two columns or more"
	}
	for i, name := range header {
		switch {
		case strings.TrimSpace(name) == "":
			return fmt.Sprintf("invalid header: column %d has no name", i+1)
		case !utf8.ValidString(name):
			return fmt.Sprintf("invalid header: name of column %d should be valid utf8", i+1)
		case slices.Contains(header[:i], name):
			return fmt.Sprintf("invalid header: column name %q is not unique", name)
		}
	}
	return ""
}

// badRow tells what is wrong with the latest row, if anything. first holds the
// rows of the keys before it.
func (c *checkedCSV) badRow(row []string, first map[[16]byte]int) string {
	if len(row) != len(c.columns) {
		return "invalid row: wrong number of fields"
	}
	if falsy(row[0]) {
		return "primary key is required and cannot be blank"
	}
	key := hash128([]byte(row[0]))
	if earlier, again := first[key]; again {
		return fmt.Sprintf("invalid row: row indexes %d and %d have the same primary key", earlier, c.rows)
	}
	first[key] = c.rows
	if !utf8.ValidString(strings.Join(row, "")) {
		return "invalid row: string should be valid utf8"
	}
	return ""
}

// falsy tells whether a key is one that Mixpanel does not tell from none.
func falsy(key string) bool {
	key = strings.TrimSpace(key)
	return key == "" || key == "0" || strings.EqualFold(key, "false")
}

// csvFault is what breaks RFC 4180, without the place: the index says it.
func csvFault(err error) string {
	if parse := new(csv.ParseError); errors.As(err, &parse) {
		err = parse.Err
	}
	return err.Error()
}
