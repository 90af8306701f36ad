package snowflake

import (
	"encoding/hex"
	"math/big"
	"strconv"
	"strings"

	"github.com/mixsync/mixsync/connectors/internal/arrowbatch"
	"github.com/mixsync/mixsync/connectors/warehouse"
)

// appendLine appends a row as a server that speaks JSON sends it: every value as
// text, in a notation of its type's own.
func appendLine(b *warehouse.Batch, columns []column, line []*string) error {
	if len(line) != len(columns) {
		return warehouse.Errorf(warehouse.ClassQuery, "run again", "a row has %d values, expected %d", len(line), len(columns))
	}
	for i := range columns {
		col := &b.Cols[i]
		if line[i] == nil {
			if col.Sub != nil {
				col.Sub = append(col.Sub, 0)
			}
			col.AppendNull()
			continue
		}
		if err := columns[i].appendText(col, *line[i]); err != nil {
			return err
		}
	}
	b.EndRow()
	return nil
}

func (c *column) appendText(col *warehouse.Column, text string) error {
	ok := true
	if col.Kind == warehouse.Int {
		return c.appendInt(col, text)
	}
	switch c.kind {
	case warehouse.Bool:
		switch strings.ToLower(text) {
		case "1", "true":
			col.AppendInt(1)
		case "0", "false":
			col.AppendInt(0)
		default:
			ok = false
		}
	case warehouse.Float:
		v, err := strconv.ParseFloat(text, 64)
		ok = err == nil
		col.AppendFloat(v)
	case warehouse.Date:
		days, err := strconv.ParseInt(text, 10, 64)
		ok = err == nil
		col.AppendInt(days)
	case warehouse.Time, warehouse.Timestamp, warehouse.TimestampTZ:
		ok = appendSeconds(col, text)
	case warehouse.Decimal:
		if c.whole() && strings.Contains(text, ".") {
			return c.unfit(strconv.Quote(text))
		}
		if col.Data, ok = appendDecimal(col.Data, text); ok {
			col.EndText()
		}
	case warehouse.Bytes:
		raw, err := hex.DecodeString(text)
		ok = err == nil
		col.AppendText(raw)
	case warehouse.JSON:
		col.Data = appendDefined(col.Data, []byte(text))
		col.EndText()
	default:
		col.Data = append(col.Data, text...)
		col.EndText()
	}
	if !ok {
		return c.unfit(strconv.Quote(text))
	}
	return nil
}

func (c *column) appendInt(col *warehouse.Column, text string) error {
	v, err := strconv.ParseInt(text, 10, 64)
	if err == nil {
		col.AppendInt(v)
		return nil
	}
	if _, whole := new(big.Int).SetString(text, 10); whole {
		return c.tooLarge(text)
	}
	return c.unfit(strconv.Quote(text))
}

// appendSeconds appends seconds with up to nine decimals; of a TIMESTAMP_TZ the
// offset follows, which the instant does not need.
func appendSeconds(col *warehouse.Column, text string) bool {
	text, _, _ = strings.Cut(text, " ")
	whole, fraction, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || len(fraction) > 9 || seconds > 1<<43 || seconds < -1<<43 {
		return false
	}
	nanos, err := strconv.ParseUint("0"+fraction+strings.Repeat("0", 9-len(fraction)), 10, 32)
	if err != nil {
		return false
	}
	total := int64(nanos)
	if strings.HasPrefix(whole, "-") {
		total = -total
	}
	micros, sub := total/1000, total%1000
	if sub < 0 {
		micros, sub = micros-1, sub+1000
	}
	before := len(col.Int)
	arrowbatch.AppendTime(col, seconds*1_000_000+micros, int16(sub))
	v := col.Int[before]
	col.Int = col.Int[:before]
	col.AppendInt(v) // which marks it valid
	return true
}
