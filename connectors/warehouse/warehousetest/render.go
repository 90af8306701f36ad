package warehousetest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Render writes a value as text to compare by: NULL; true and false; numbers as
// they are; bytes in hexadecimal; JSON without white space; dates and times as
// warehouse.Cursor has them; a Time in microseconds.
func Render(f warehouse.Field, c *warehouse.Column, row int) string {
	if c.IsNull(row) {
		return "NULL"
	}
	switch c.Kind {
	case warehouse.Bool:
		return strconv.FormatBool(c.Int[row] != 0)
	case warehouse.Time:
		return strconv.FormatInt(c.Int[row], 10)
	case warehouse.Float:
		if f.Float32 {
			return strconv.FormatFloat(c.Float[row], 'g', -1, 32)
		}
		return strconv.FormatFloat(c.Float[row], 'g', -1, 64)
	case warehouse.Bytes:
		return hex.EncodeToString(c.Text(row))
	case warehouse.JSON:
		var compact bytes.Buffer
		if err := json.Compact(&compact, c.Text(row)); err != nil {
			return "not JSON: " + string(c.Text(row))
		}
		return compact.String()
	case warehouse.Decimal, warehouse.Text:
		return string(c.Text(row))
	}
	return warehouse.CursorAt(c, row).Text(c.Kind)
}

// RenderRow renders every value of a row.
func RenderRow(b *warehouse.Batch, row int) []string {
	texts := make([]string, len(b.Cols))
	for i := range b.Cols {
		texts[i] = Render(b.Schema.Fields[i], &b.Cols[i], row)
	}
	return texts
}
