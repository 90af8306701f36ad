package emulator

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// added are the properties of an exported event that are not copied from the
// record: Mixpanel derives or adds them, or (ip) does not keep them.
var added = map[string]bool{
	"time": true, "distinct_id": true, "$insert_id": true, "ip": true,
	"$import": true, "$mp_api_endpoint": true, "$mp_api_timestamp_ms": true, "$mp_event_size": true, "mp_processing_time_ms": true,
}

// appendLine appends an event as the raw export has it, with its newline.
// Properties are copied as they came, but for strings that Mixpanel cuts.
func appendLine(dst []byte, en *entry, inMillis bool) []byte {
	dst = append(dst, `{"event":`...)
	dst = appendKept(dst, find(en.raw, "event"))
	when := en.millis
	if !inMillis {
		when /= 1000
	}
	dst = append(dst, `,"properties":{"time":`...)
	dst = strconv.AppendInt(dst, when, 10)
	dst = append(dst, `,"distinct_id":`...)
	dst = appendText(dst, en.distinctID)
	dst = append(dst, `,"$insert_id":`...)
	dst = appendText(dst, en.insertID)
	s := scanner{src: find(en.raw, "properties").raw}
	i, more := s.enter(0)
	for more {
		var name, v value
		name, i = s.key(i)
		v, i = s.scan(i, 1)
		if !added[string(name.text())] {
			dst = append(dst, ',')
			dst = appendKept(dst, name)
			dst = append(dst, ':')
			dst = appendKept(dst, v)
		}
		i, more = s.next(i)
	}
	dst = append(dst, `,"$import":true,"$mp_api_endpoint":"api.mixpanel.com","$mp_api_timestamp_ms":`...)
	dst = strconv.AppendInt(dst, en.received, 10)
	dst = append(dst, `,"$mp_event_size":`...)
	dst = strconv.AppendInt(dst, int64(len(en.raw)), 10)
	dst = append(dst, `,"mp_processing_time_ms":`...)
	dst = strconv.AppendInt(dst, en.received, 10)
	return append(dst, "}}\n"...)
}

// appendKept appends a value as Mixpanel keeps it, on one line. Text of at most
// maxText bytes holds no string that would be cut, and is copied.
func appendKept(dst []byte, v value) []byte {
	switch short := len(v.raw) <= maxText && !bytes.ContainsAny(v.raw, "\r\n"); {
	case short && v.isString():
		return append(append(append(dst, '"'), v.raw...), '"')
	case short:
		return append(dst, v.raw...)
	case v.isString():
		return appendJSON(dst, truncate(string(v.text())))
	}
	d := json.NewDecoder(bytes.NewReader(v.raw))
	d.UseNumber()
	var decoded any
	if d.Decode(&decoded) != nil {
		return append(dst, v.raw...) // cannot be: the scanner accepted it
	}
	return appendJSON(dst, cutStrings(decoded))
}

// appendText appends a string.
func appendText(dst, text []byte) []byte {
	for _, c := range text {
		if !ordinary[c] {
			return appendJSON(dst, string(text))
		}
	}
	return append(append(append(dst, '"'), text...), '"')
}

// appendJSON appends a value that was decoded from JSON.
func appendJSON(dst []byte, v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // which cannot fail
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
