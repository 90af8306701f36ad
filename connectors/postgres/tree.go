package postgres

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"github.com/mixsync/mixsync/mapping/appendjson"
	"math"
	"strconv"
)

// shape is how a type's text is to be taken apart.
type shape uint8

const (
	leaf   shape = iota
	list         // {a,"b c",NULL}: an array of any dimensions
	object       // (a,"b c",): a composite
	pairs        // "a"=>"b", "c"=>NULL: hstore
)

// node is the plan by which the text of a type becomes JSON.
type node struct {
	shape     shape
	leaf      codec // of a leaf: what its text means
	json      bool  // the leaf is JSON itself
	zoned     bool  // the leaf is a timestamp with time zone, printed in UTC
	delimiter byte
	elem      *node
	names     []string // of an object's fields
	fields    []*node
}

// appendTree writes the text of an array, composite or hstore as JSON.
func appendTree(dst, text []byte, n *node) ([]byte, bool) {
	switch n.shape {
	case list:
		return appendList(dst, text, n)
	case object:
		return appendObject(dst, text, n)
	case pairs:
		return appendPairs(dst, text)
	}
	return appendLeaf(dst, text, n)
}

func appendList(dst, text []byte, n *node) ([]byte, bool) {
	if len(text) > 0 && text[0] == '[' { // [2:4]={…}: bounds have no place in JSON
		_, after, ok := bytes.Cut(text, []byte("="))
		if !ok {
			return dst, false
		}
		text = after
	}
	dst, rest, ok := appendBraces(dst, text, n)
	return dst, ok && len(rest) == 0
}

// appendBraces writes one dimension and returns what follows it.
func appendBraces(dst, text []byte, n *node) (_, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '{' {
		return dst, nil, false
	}
	dst, text = append(dst, '['), text[1:]
	for first := true; ; first = false {
		if len(text) == 0 {
			return dst, nil, false
		}
		if first && text[0] == '}' {
			return append(dst, ']'), text[1:], true
		}
		if !first {
			dst = append(dst, ',')
		}
		if text[0] == '{' {
			dst, text, ok = appendBraces(dst, text, n)
		} else {
			var value []byte
			var quoted bool
			value, quoted, text, ok = cutElement(text, n.delimiter, '}')
			if ok && !quoted && string(value) == "NULL" {
				dst = append(dst, "null"...)
			} else if ok {
				dst, ok = appendTree(dst, value, n.elem)
			}
		}
		if !ok || len(text) == 0 {
			return dst, nil, false
		}
		switch text[0] {
		case '}':
			return append(dst, ']'), text[1:], true
		case n.delimiter:
			text = text[1:]
		default:
			return dst, nil, false
		}
	}
}

func appendObject(dst, text []byte, n *node) ([]byte, bool) {
	if len(text) < 2 || text[0] != '(' {
		return dst, false
	}
	dst, text = append(dst, '{'), text[1:]
	for i, field := range n.fields {
		value, quoted, rest, ok := cutElement(text, ',', ')')
		if !ok || len(rest) == 0 {
			return dst, false
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendjson.Whole(dst, []byte(n.names[i])), ':')
		if len(value) == 0 && !quoted {
			dst = append(dst, "null"...)
		} else if dst, ok = appendTree(dst, value, field); !ok {
			return dst, false
		}
		last := i == len(n.fields)-1
		if last != (rest[0] == ')') {
			return dst, false
		}
		text = rest[1:]
	}
	if len(n.fields) == 0 {
		text = text[1:]
	}
	return append(dst, '}'), len(text) == 0
}

// cutElement takes the value off the front of text that ends before delimiter
// or end, and undoes its quoting: "…" within which \x and "" stand for x and ".
func cutElement(text []byte, delimiter, end byte) (value []byte, quoted bool, rest []byte, ok bool) {
	plain := bytes.IndexFunc(text, func(r rune) bool {
		return r == rune(delimiter) || r == rune(end) || r == '"' || r == '\\'
	})
	if plain >= 0 && text[plain] != '"' && text[plain] != '\\' {
		return text[:plain], false, text[plain:], true
	}
	inside := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			value = append(value, text[i])
		case c == '"' && inside && i+1 < len(text) && text[i+1] == '"':
			i++
			value = append(value, '"')
		case c == '"':
			inside, quoted = !inside, true
		case !inside && (c == delimiter || c == end):
			return value, quoted, text[i:], true
		default:
			value = append(value, c)
		}
	}
	return nil, false, nil, false
}

// appendPairs writes an hstore. It quotes every key and every value but NULL.
func appendPairs(dst, text []byte) ([]byte, bool) {
	dst = append(dst, '{')
	if len(text) > 0 { // so that every pair ends alike
		text = append(text[:len(text):len(text)], ", "...)
	}
	for first := true; len(text) > 0; first = false {
		if !first {
			dst = append(dst, ',')
		}
		key, _, rest, ok := cutElement(text, '=', '=')
		if !ok {
			return dst, false
		}
		value, quoted, rest, ok := cutElement(bytes.TrimPrefix(rest, []byte("=>")), ',', ',')
		if !ok {
			return dst, false
		}
		dst = append(appendjson.Whole(dst, key), ':')
		if quoted {
			dst = appendjson.Whole(dst, value)
		} else {
			dst = append(dst, "null"...)
		}
		if text, ok = bytes.CutPrefix(rest, []byte(", ")); !ok {
			return dst, false
		}
	}
	return append(dst, '}'), true
}

func appendLeaf(dst, text []byte, n *node) ([]byte, bool) {
	switch n.leaf {
	case asBool:
		return strconv.AppendBool(dst, isTrue(text)), true
	case asInt2, asInt4, asOID:
		return append(dst, text...), true
	case asInt8:
		return appendInt8(dst, text)
	case asFloat4, asFloat8:
		return appendFloat(dst, text)
	case asNumeric:
		return appendDecimal(dst, text), true
	case asJSONB:
		return append(dst, text...), true
	case asBytea:
		return appendBytea(dst, text)
	case asDate, asTimestamp:
		return appendTime(dst, text, n.zoned), true
	case asString:
		if n.json {
			return append(dst, text...), true
		}
	}
	return appendjson.Whole(dst, text), true
}

// appendInt8 writes an integer, as a string where a float64 would round it.
func appendInt8(dst, text []byte) ([]byte, bool) {
	v, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return dst, false
	}
	if v > 1<<53 || v < -1<<53 {
		return appendjson.Whole(dst, text), true
	}
	return append(dst, text...), true
}

func appendFloat(dst, text []byte) ([]byte, bool) {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return dst, false
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(dst, "null"...), true
	}
	return append(dst, text...), true
}

// appendDecimal writes a numeric as a number if the shortest text of the nearest
// float64 is the same but for trailing zeros, else as a string.
func appendDecimal(dst, text []byte) []byte {
	v, err := strconv.ParseFloat(string(text), 64)
	if math.IsNaN(v) || math.IsInf(v, 0) && err == nil {
		return append(dst, "null"...)
	}
	bare := text
	if bytes.IndexByte(text, '.') >= 0 {
		bare = bytes.TrimSuffix(bytes.TrimRight(text, "0"), []byte("."))
	}
	var short [400]byte
	if err != nil || !bytes.Equal(strconv.AppendFloat(short[:0], v, 'f', -1, 64), bare) {
		return appendjson.Whole(dst, text)
	}
	return append(dst, bare...)
}

func appendBytea(dst, text []byte) ([]byte, bool) {
	digits, ok := bytes.CutPrefix(text, []byte(`\x`))
	if !ok {
		return dst, false
	}
	raw, err := hex.AppendDecode(nil, digits)
	if err != nil {
		return dst, false
	}
	dst = base64.StdEncoding.AppendEncode(append(dst, '"'), raw)
	return append(dst, '"'), true
}

// appendTime turns 2026-01-31 12:00:00+00 into 2026-01-31T12:00:00. Infinite
// times are null.
func appendTime(dst, text []byte, zoned bool) []byte {
	if bytes.HasSuffix(text, []byte("infinity")) {
		return append(dst, "null"...)
	}
	era := text[len(text):]
	if i := bytes.Index(text, []byte(" BC")); i >= 0 {
		text, era = text[:i], text[i:]
	}
	if zoned {
		text = bytes.TrimSuffix(text, []byte("+00"))
	}
	dst = append(dst, '"')
	for _, c := range text {
		if c == ' ' {
			c = 'T'
		}
		dst = append(dst, c)
	}
	return append(append(dst, era...), '"')
}
