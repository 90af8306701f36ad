//go:build cgo

package bigquerytest

import (
	"context"
	"database/sql/driver"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"
	bq "google.golang.org/api/bigquery/v2"
)

// each calls use with the rows of a result from, inclusive, to, exclusive. Values
// come as the engine's driver has them, which saves most of the time.
func (s *Server) each(ctx context.Context, id string, from, to int64, use func(row []driver.Value) error) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(c any) error {
		query := fmt.Sprintf("SELECT * FROM %s WHERE rowid >= %d AND rowid < %d ORDER BY rowid", result(id), from, to)
		rows, err := c.(driver.QueryerContext).QueryContext(ctx, query, nil)
		if err != nil {
			return err
		}
		defer rows.Close()
		row := make([]driver.Value, len(rows.Columns()))
		for {
			switch err := rows.Next(row); {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return err
			}
			if err := use(row); err != nil {
				return err
			}
		}
	})
}

// cell writes a value as REST pages have it.
func cell(f *bq.TableFieldSchema, v any, int64Timestamps bool) any {
	if f.Mode == "REPEATED" {
		element := *f
		element.Mode = "NULLABLE"
		list := []any{} // an array that is NULL is an empty one in a result
		values, _ := v.([]any)
		for _, v := range values {
			list = append(list, map[string]any{"v": cell(&element, v, int64Timestamps)})
		}
		return list
	}
	if v == nil {
		return nil
	}
	switch f.Type {
	case "RECORD":
		cells := []any{}
		for _, part := range f.Fields {
			cells = append(cells, map[string]any{"v": cell(part, v.(map[string]any)[part.Name], int64Timestamps)})
		}
		return map[string]any{"f": cells}
	case "RANGE":
		bound := func(name string) string {
			v := v.(map[string]any)[name]
			if v == nil {
				return "UNBOUNDED"
			}
			return scalar(f.RangeElementType.Type, v, int64Timestamps)
		}
		return "[" + bound(markStart) + ", " + bound(markEnd) + ")"
	}
	return scalar(f.Type, v, int64Timestamps)
}

func scalar(kind string, v any, int64Timestamps bool) string {
	switch v := v.(type) {
	case map[string]any: // a value of a type that the engine has not: its text
		for _, inner := range v {
			return inner.(string)
		}
	case string:
		return v
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return floatText(v)
	case float32:
		return floatText(float64(v))
	case duckdb.Decimal:
		return decimalText(v)
	case duckdb.Interval:
		return intervalText(v)
	case time.Time:
		return timeText(kind, v, int64Timestamps)
	}
	return fmt.Sprint(v)
}

func floatText(v float64) string {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// decimalText leaves trailing zeros out.
func decimalText(d duckdb.Decimal) string {
	r := new(big.Rat).SetFrac(d.Value, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(d.Scale)), nil))
	text := r.FloatString(int(d.Scale))
	if strings.Contains(text, ".") {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	return text
}

func intervalText(i duckdb.Interval) string {
	sign := func(negative bool) string {
		if negative {
			return "-"
		}
		return ""
	}
	months, micros := max(i.Months, -i.Months), max(i.Micros, -i.Micros)
	text := fmt.Sprintf("%s%d-%d %d %s%d:%d:%d", sign(i.Months < 0), months/12, months%12, i.Days,
		sign(i.Micros < 0), micros/3_600_000_000, micros/60_000_000%60, micros/1_000_000%60)
	if fraction := micros % 1_000_000; fraction != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%06d", fraction), "0")
	}
	return text
}

func timeText(kind string, v time.Time, int64Timestamps bool) string {
	switch kind {
	case "DATE":
		return v.UTC().Format("2006-01-02")
	case "TIME":
		return v.UTC().Format("15:04:05.999999")
	case "DATETIME":
		return v.UTC().Format("2006-01-02T15:04:05.999999")
	}
	if int64Timestamps {
		return strconv.FormatInt(v.UnixMicro(), 10)
	}
	return strconv.FormatFloat(float64(v.UnixMicro())/1e6, 'e', -1, 64)
}
