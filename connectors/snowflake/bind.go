package snowflake

import (
	"database/sql/driver"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	sf "github.com/snowflakedb/gosnowflake"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// bind writes a placeholder, which takes its type from the argument. Decimals are
// sent as text, which Snowflake would cut to a few digits if it were not told more.
func bind(_ int, f warehouse.Field) string {
	if f.Kind == warehouse.Decimal && strings.HasPrefix(f.Type, "NUMBER") {
		return "CAST(? AS " + f.Type + ")"
	}
	return "?"
}

// bindAll gives arguments the types of their columns. The vendor's driver takes a
// type ahead of a value whose Go type does not tell it.
func bindAll(args []warehouse.Arg) ([]driver.NamedValue, error) {
	var list []driver.NamedValue
	for _, a := range args {
		typ, value, err := argument(a)
		if err != nil {
			return nil, err
		}
		if typ != nil {
			list = append(list, driver.NamedValue{Ordinal: len(list) + 1, Value: typ})
		}
		list = append(list, driver.NamedValue{Ordinal: len(list) + 1, Value: value})
	}
	return list, nil
}

func argument(a warehouse.Arg) (typ []byte, value any, err error) {
	switch a.Field.Kind {
	case warehouse.Int:
		if value, err = strconv.ParseInt(a.Text, 10, 64); err != nil {
			return nil, nil, unbindable(a, "a whole number of 64 bits")
		}
	case warehouse.Bool:
		if value, err = strconv.ParseBool(a.Text); err != nil {
			return nil, nil, unbindable(a, "true or false")
		}
	case warehouse.Bytes:
		raw, err := hex.DecodeString(a.Text)
		if err != nil {
			return nil, nil, unbindable(a, "hexadecimal digits")
		}
		return sf.DataTypeBinary, raw, nil
	case warehouse.Time:
		at, err := time.Parse("15:04:05.999999999", a.Text)
		if err != nil {
			return nil, nil, unbindable(a, "12:34:56")
		}
		return sf.DataTypeTime, at, nil
	case warehouse.Date, warehouse.Timestamp, warehouse.TimestampTZ:
		return moment(a)
	default:
		// Floats too: the driver would bind them with the digits of 32 bits.
		value = a.Text
	}
	return nil, value, nil
}

// Snowflake's years. Timestamps are bound as nanoseconds since 1970, which the
// vendor's driver writes with as many digits as they take.
var first, end = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)

func moment(a warehouse.Arg) ([]byte, any, error) {
	cursor, err := warehouse.ParseCursor(a.Field.Kind, a.Text)
	if err != nil {
		return nil, nil, warehouse.Errorf(warehouse.ClassConfig, "", "column %q: %w", a.Field.Name, err)
	}
	if cursor.Ticks == warehouse.PosInfinity || cursor.Ticks == warehouse.NegInfinity {
		return nil, nil, unbindable(a, "a date or time: Snowflake has no infinite ones")
	}
	if a.Field.Kind == warehouse.Date {
		if cursor.Ticks < -719162 || cursor.Ticks > 2932896 { // 0001-01-01 to 9999-12-31
			return nil, nil, unbindable(a, "a date of the years 1 to 9999")
		}
		return sf.DataTypeDate, time.Unix(cursor.Ticks*86_400, 0).UTC(), nil
	}
	at := time.UnixMicro(cursor.Ticks).Add(time.Duration(cursor.Sub)).UTC()
	if at.Before(first) || !at.Before(end) {
		return nil, nil, unbindable(a, "a time of the years 1 to 9999")
	}
	switch {
	case a.Field.Kind == warehouse.Timestamp:
		return sf.DataTypeTimestampNtz, at, nil
	case strings.HasPrefix(a.Field.Type, "TIMESTAMP_TZ"):
		return sf.DataTypeTimestampTz, at, nil
	}
	return sf.DataTypeTimestampLtz, at, nil
}

func unbindable(a warehouse.Arg, want string) error {
	return warehouse.Errorf(warehouse.ClassConfig, "write "+want, "column %q of type %s cannot be compared with %q", a.Field.Name, a.Field.Type, a.Text)
}
