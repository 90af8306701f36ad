package mapping

import (
	"bytes"
	"strconv"

	"github.com/mixsync/mixsync/connectors/warehouse"
	"github.com/mixsync/mixsync/mapping/appendjson"
)

// appendCoerced appends a value as the type that properties.types asks for. A
// value that has no such form is omitted and counted: a property whose type
// changes from row to row falls apart in Mixpanel.
func (p *Plan) appendCoerced(dst []byte, enc encoding, c *warehouse.Column, row int) ([]byte, fate) {
	switch enc {
	case boolToString:
		dst = append(dst, '"')
		dst = appendjson.Bool(dst, c.Int[row] != 0)
		return append(dst, '"'), written
	case intToString:
		dst = append(dst, '"')
		dst = strconv.AppendInt(dst, c.Int[row], 10)
		return append(dst, '"'), written
	case decimalToString:
		return appendjson.String(dst, c.Text(row), maxString, &p.tally), written
	case decimalToID:
		dst = append(dst, '"')
		dst = appendjson.DecimalText(dst, c.Text(row))
		return append(dst, '"'), written
	case jsonToString:
		return p.appendJSONText(dst, c.Text(row))
	case boolToNumber:
		return append(dst, '0'+byte(c.Int[row]&1)), written
	case textToNumber:
		if out, ok := appendjson.Number(dst, c.Text(row)); ok {
			return out, written
		}
	case intToBoolean:
		if v := c.Int[row]; v == 0 || v == 1 {
			return appendjson.Bool(dst, v == 1), written
		}
	case textToBoolean:
		if v, ok := parseBool(c.Text(row)); ok {
			return appendjson.Bool(dst, v), written
		}
	case textToDatetime:
		if micros, sub, zoned, ok := parseTime(c.Text(row)); ok {
			if !zoned {
				micros = p.zone.utc(micros)
			}
			return appendjson.Timestamp(dst, micros, sub), written
		}
	}
	return p.misfit(dst)
}

func (p *Plan) misfit(dst []byte) ([]byte, fate) {
	p.stats.Misfits++
	return dst, omitted
}

// appendJSONText appends a JSON value as a string: the text of a string, the
// compact form of everything else.
func (p *Plan) appendJSONText(dst, text []byte) ([]byte, fate) {
	if text = bytes.TrimSpace(text); len(text) > 0 && text[0] == '"' {
		return p.appendJSON(dst, text)
	}
	var err error
	if p.scratch, err = appendjson.JSON(p.scratch[:0], text, appendjson.Unlimited, &p.tally); err == nil {
		text = p.scratch
	}
	return appendjson.String(dst, text, maxString, &p.tally), written
}

// parseBool reads the words that databases and spreadsheets use, in any case.
func parseBool(text []byte) (v, ok bool) {
	text = bytes.TrimSpace(text)
	for _, word := range [...]string{"true", "t", "yes", "y", "on", "1"} {
		if equalFold(text, word) {
			return true, true
		}
	}
	for _, word := range [...]string{"false", "f", "no", "n", "off", "0"} {
		if equalFold(text, word) {
			return false, true
		}
	}
	return false, false
}

// equalFold compares text with a word of lower-case ASCII.
func equalFold(text []byte, word string) bool {
	if len(text) != len(word) {
		return false
	}
	for i, c := range text {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// parseTime reads an ISO 8601 date or date and time: a T or a space between
// them, seconds and their fraction optional, at most nine digits of it, Z or an offset optional.
func parseTime(text []byte) (micros int64, sub int16, zoned, ok bool) {
	s := scanner{text: bytes.TrimSpace(text)}
	year, month, day := s.digits(4), s.byteThen('-', 2), s.byteThen('-', 2)
	if s.bad || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, 0, false, false
	}
	micros = daysSince1970(year, month, day) * microsPerDay
	if s.done() {
		return micros, 0, false, true
	}
	if !s.take('T') && !s.take('t') && !s.take(' ') {
		return 0, 0, false, false
	}
	hour, minute, second := s.digits(2), s.byteThen(':', 2), int64(0)
	if s.peek() == ':' {
		second = s.byteThen(':', 2)
	}
	nanos := s.fraction()
	if s.take('Z') || s.take('z') {
		zoned = true
	} else if sign := s.peek(); sign == '+' || sign == '-' {
		zoned = true
		s.i++
		h, m := s.digits(2), int64(0)
		if !s.done() {
			s.take(':')
			m = s.digits(2)
		}
		offset := (h*60 + m) * 60
		if sign == '-' {
			offset = -offset
		}
		micros -= offset * 1_000_000
	}
	if s.bad || !s.done() || hour > 23 || minute > 59 || second > 59 {
		return 0, 0, false, false
	}
	micros += ((hour*60+minute)*60+second)*1_000_000 + nanos/1000
	return micros, int16(nanos % 1000), zoned, true
}

// scanner reads fixed-width fields; bad stays set after the first that is not there.
type scanner struct {
	text []byte
	i    int
	bad  bool
}

func (s *scanner) done() bool { return s.i == len(s.text) }

func (s *scanner) peek() byte {
	if s.done() {
		return 0
	}
	return s.text[s.i]
}

func (s *scanner) take(b byte) bool {
	if s.peek() != b {
		return false
	}
	s.i++
	return true
}

func (s *scanner) digits(n int) int64 {
	var v int64
	for range n {
		c := s.peek()
		if c < '0' || c > '9' {
			s.bad = true
			return 0
		}
		v = v*10 + int64(c-'0')
		s.i++
	}
	return v
}

func (s *scanner) byteThen(b byte, n int) int64 {
	if !s.take(b) {
		s.bad = true
		return 0
	}
	return s.digits(n)
}

// fraction reads a fraction of a second in nanoseconds; 0 if there is none.
func (s *scanner) fraction() int64 {
	if !s.take('.') {
		return 0
	}
	var v int64
	n := 0
	for ; n < 9 && s.peek() >= '0' && s.peek() <= '9'; n++ {
		v = v*10 + int64(s.peek()-'0')
		s.i++
	}
	if n == 0 {
		s.bad = true
	}
	for ; n < 9; n++ {
		v *= 10
	}
	return v
}

func daysIn(year, month int64) int64 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSince1970 counts in eras of 400 years that begin on 1 March.
func daysSince1970(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := floorDiv(year, 400)
	yoe := year - era*400
	doy := (153*(month-3)+2)/5 + day - 1
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
}
