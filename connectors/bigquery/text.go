package bigquery

import (
	"encoding/base64"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	"github.com/apache/arrow-go/v18/arrow/decimal256"
)

// appendText puts a scalar into an array. On the wire everything is text.
func appendText(b array.Builder, v any) error {
	text, ok := v.(string)
	if !ok {
		return unexpected(v)
	}
	var err error
	switch b := b.(type) {
	case *array.StringBuilder:
		b.Append(text)
	case *array.BinaryBuilder:
		var raw []byte
		raw, err = base64.StdEncoding.DecodeString(text)
		b.Append(raw)
	case *array.Int64Builder:
		var n int64
		n, err = strconv.ParseInt(text, 10, 64)
		b.Append(n)
	case *array.Float64Builder:
		var n float64
		n, err = strconv.ParseFloat(text, 64)
		b.Append(n)
	case *array.BooleanBuilder:
		var t bool
		t, err = strconv.ParseBool(text)
		b.Append(t)
	case *array.Decimal128Builder:
		var n *big.Int
		if n, err = scaled(text, numericScale); err == nil {
			b.Append(decimal128.FromBigInt(n))
		}
	case *array.Decimal256Builder:
		var n *big.Int
		if n, err = scaled(text, bigNumericScale); err == nil {
			b.Append(decimal256.FromBigInt(n))
		}
	default:
		return appendTime(b, text)
	}
	return err
}

// appendTime puts dates, times and intervals into arrays. TIMESTAMP is asked for as
// a number of microseconds.
func appendTime(b array.Builder, text string) error {
	switch b := b.(type) {
	case *array.Date32Builder:
		t, err := time.Parse("2006-01-02", text)
		b.Append(arrow.Date32FromTime(t))
		return err
	case *array.Time64Builder:
		t, err := time.Parse("15:04:05", text) // takes a fraction as well
		b.Append(arrow.Time64(t.Sub(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)).Microseconds()))
		return err
	case *array.TimestampBuilder:
		if b.Type().(*arrow.TimestampType).TimeZone != "" {
			n, err := strconv.ParseInt(text, 10, 64)
			b.Append(arrow.Timestamp(n))
			return err
		}
		t, err := time.Parse("2006-01-02T15:04:05", text)
		b.Append(arrow.Timestamp(t.UnixMicro()))
		return err
	case *array.MonthDayNanoIntervalBuilder:
		i, err := parseInterval(text)
		b.Append(i)
		return err
	}
	return fmt.Errorf("nothing can be made of %s", b.Type())
}

// appendRange takes [start, end) apart.
func appendRange(b array.Builder, v any) error {
	text, ok := v.(string)
	if !ok {
		return unexpected(v)
	}
	start, end, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(text, "["), ")"), ", ")
	if !ok {
		return fmt.Errorf("%q is no range", text)
	}
	s := b.(*array.StructBuilder)
	s.Append(true)
	for i, bound := range []string{start, end} {
		if bound == "UNBOUNDED" {
			s.FieldBuilder(i).AppendNull()
		} else if err := appendText(s.FieldBuilder(i), bound); err != nil {
			return err
		}
	}
	return nil
}

// scaled is a decimal number times ten to the power of scale: there are no more digits.
func scaled(text string, scale int64) (*big.Int, error) {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, fmt.Errorf("%q is no number", text)
	}
	n := new(big.Int).Exp(big.NewInt(10), big.NewInt(scale), nil)
	n.Mul(n, r.Num())
	return n.Quo(n, r.Denom()), nil
}

// parseInterval reads 1-2 3 4:5:6.7; years and hours have a sign for what follows
// them, also where they are zero.
func parseInterval(text string) (arrow.MonthDayNanoInterval, error) {
	var i arrow.MonthDayNanoInterval
	bad := fmt.Errorf("%q is no interval", text)
	parts := strings.Split(text, " ")
	if len(parts) != 3 {
		return i, bad
	}
	years, months, ok1 := strings.Cut(strings.TrimPrefix(parts[0], "-"), "-")
	y, err1 := strconv.ParseInt(years, 10, 32)
	m, err2 := strconv.ParseInt(months, 10, 32)
	days, err3 := strconv.ParseInt(parts[1], 10, 32)
	clock := strings.Split(strings.TrimPrefix(parts[2], "-"), ":")
	if !ok1 || err1 != nil || err2 != nil || err3 != nil || len(clock) != 3 {
		return i, bad
	}
	hours, err1 := strconv.ParseInt(clock[0], 10, 64)
	minutes, err2 := strconv.ParseInt(clock[1], 10, 64)
	nanos, err3 := scaled(clock[2], 9)
	if err1 != nil || err2 != nil || err3 != nil {
		return i, bad
	}
	i.Months, i.Days, i.Nanoseconds = int32(y*12+m), int32(days), (hours*60+minutes)*60e9+nanos.Int64()
	if strings.HasPrefix(parts[0], "-") {
		i.Months = -i.Months
	}
	if strings.HasPrefix(parts[2], "-") {
		i.Nanoseconds = -i.Nanoseconds
	}
	return i, nil
}
