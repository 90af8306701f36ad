package bigquery

import (
	"encoding/base64"
	"encoding/hex"
	"strings"

	"cloud.google.com/go/bigquery"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// bind makes a parameter of the type of the column it is compared with: a bare
// comparison of the two is what partitions are skipped by.
func bind(name string, a warehouse.Arg) (bigquery.QueryParameter, error) {
	text, err := notation(a)
	if err != nil {
		return bigquery.QueryParameter{}, err
	}
	return bigquery.QueryParameter{Name: name, Value: &bigquery.QueryParameterValue{
		Type:  bigquery.StandardSQLDataType{TypeKind: a.Field.Type},
		Value: text,
	}}, nil
}

// notation writes an argument as BigQuery takes parameters of its type.
func notation(a warehouse.Arg) (string, error) {
	bad := func(reason string) (string, error) {
		return "", warehouse.Errorf(warehouse.ClassConfig, "check the value", "%q cannot be compared with column %q of type %s: %s", a.Text, a.Field.Name, a.Field.Type, reason)
	}
	switch a.Field.Kind {
	case warehouse.Bytes:
		raw, err := hex.DecodeString(a.Text)
		if err != nil {
			return bad("it is not hexadecimal")
		}
		return base64.StdEncoding.EncodeToString(raw), nil
	case warehouse.Date, warehouse.Timestamp, warehouse.TimestampTZ:
		c, err := warehouse.ParseCursor(a.Field.Kind, a.Text)
		if err != nil {
			return bad(err.Error())
		}
		c.Sub = 0 // BigQuery counts in microseconds; with more digits it refuses
		text := c.Text(a.Field.Kind)
		if c.Ticks == warehouse.PosInfinity || c.Ticks == warehouse.NegInfinity || !inCalendar(text) {
			return bad("dates and times are of the years 0001 to 9999")
		}
		if zoned, ok := strings.CutSuffix(text, "Z"); ok {
			text = zoned + "+00:00"
		}
		return strings.Replace(text, "T", " ", 1), nil
	case warehouse.JSON:
		return bad("BigQuery does not compare such values")
	}
	return a.Text, nil
}

// inCalendar reports whether a date has a year of four digits after Christ.
func inCalendar(text string) bool {
	return len(text) >= 10 && text[4] == '-' && !strings.HasSuffix(text, "BC")
}
