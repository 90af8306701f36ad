package emulator

import (
	"strconv"
	"time"
	"unicode"
)

// Texts of answers, as Mixpanel words them.
const (
	someFailed   = "some data points in the request failed validation"
	badLogin     = "Invalid credentials"
	overRate     = "Project exceeded rate limits. Please retry the request with exponential backoff."
	verbRefused  = "identity events are not allowed when project is using simplified identity management"
	eventBlank   = "'event' must not be missing or blank"
	timeNoEpoch  = "'properties.time' is invalid: must be specified as seconds since epoch"
	timeInFuture = "'properties.time' is invalid: must not be in the future"
	idMissing    = "'properties.distinct_id' is invalid: must not be missing"
	insertChars  = "'$insert_id' is invalid: must only contain alphanumeric or hyphen '-' characters"
)

const (
	earliest     = 365 * 24 * time.Hour / time.Millisecond // 1971-01-01 in epoch milliseconds
	maxMembers   = 254                                     // of properties, of a nested object, of an array
	maxInsertID  = 36
	firstMillis  = 100_000_000_000 // a time from here on is milliseconds, below seconds
	futureMillis = int64(time.Hour / time.Millisecond)
)

// failure is why a record is refused; field is empty when it is not.
type failure struct{ field, message string }

// rules are the checks of one project on one request.
type rules struct {
	hierarchical bool
	requireID    bool // distinct_id, even beside $user_id or $device_id
	strict       bool
	maxRecord    int
	maxDepth     int
	nowMillis    int64
}

// check validates an event in Mixpanel's order and returns its time in epoch
// milliseconds. The first rule broken is the one that is reported.
func (r *rules) check(e *event) (millis int64, f failure) {
	if !e.isObject || !e.name.isString() || blank(e.name.text()) {
		return 0, failure{"event", eventBlank}
	}
	if e.propsKind != object {
		return 0, failure{"properties", "'properties' must not be missing"}
	}
	millis, f.message = r.time(e.time)
	if f.message != "" {
		return 0, failure{"properties.time", f.message}
	}
	if f = r.distinctID(&e.properties); f.field != "" {
		return 0, f
	}
	if f.message = r.insertID(e.insertID); f.message != "" {
		return 0, failure{"$insert_id", f.message}
	}
	return millis, r.size(e)
}

func (r *rules) time(v value) (millis int64, message string) {
	if v.kind != number {
		return 0, timeNoEpoch
	}
	millis, err := strconv.ParseInt(string(v.raw), 10, 64)
	if err != nil {
		return 0, timeNoEpoch
	}
	if millis < firstMillis {
		millis *= 1000
	}
	switch {
	case millis < int64(earliest):
		return 0, "'properties.time' is invalid: must not be before 1971-01-01"
	case millis <= r.nowMillis+futureMillis:
		return millis, ""
	case r.strict:
		return 0, timeInFuture
	}
	return r.nowMillis, "" // without strict, the future is overwritten
}

func (r *rules) distinctID(p *properties) failure {
	if p.distinctID.kind == absent {
		if r.requireID {
			return failure{"properties.distinct_id", idMissing}
		}
	} else if !p.distinctID.isString() {
		return failure{"properties.distinct_id", "'properties.distinct_id' is invalid: must be a string"}
	}
	for _, id := range [...]struct {
		field string
		value value
	}{{"properties.distinct_id", p.distinctID}, {"properties.$user_id", p.userID}, {"properties.$device_id", p.deviceID},
		{"properties.$company_id", p.companyID}} {
		if id.value.kind != absent && isJunk(id.value.text()) {
			return failure{id.field, "'" + id.field + "' is invalid: must not be a placeholder value"}
		}
	}
	return failure{}
}

func (r *rules) insertID(v value) (message string) {
	if v.kind == absent {
		if r.strict {
			return "'$insert_id' is invalid: must not be missing"
		}
		return ""
	}
	id := v.text()
	switch {
	case !v.isString():
		return "'$insert_id' is invalid: must be a string"
	case len(id) == 0:
		return "'$insert_id' is invalid: must not be blank"
	case len(id) > maxInsertID:
		return "'$insert_id' is invalid: must not be longer than 36 bytes"
	}
	for _, c := range id {
		if legal := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-'; !legal {
			return insertChars
		}
	}
	if isJunk(id) {
		return "'$insert_id' is invalid: must not be a placeholder value"
	}
	return ""
}

func (r *rules) size(e *event) failure {
	switch {
	case len(e.raw) >= r.maxRecord:
		return failure{"event", "event is too large: must be less than " + strconv.Itoa(r.maxRecord) + " bytes"}
	case e.count > maxMembers:
		return failure{"properties", "'properties' is invalid: must have less than 255 properties"}
	case e.keys > maxMembers:
		return failure{"properties", "'properties' is invalid: nested objects must have less than 255 keys"}
	case e.items > maxMembers:
		return failure{"properties", "'properties' is invalid: arrays must have less than 255 elements"}
	case e.depth > r.maxDepth:
		return failure{"properties", "'properties' is invalid: must not nest deeper than " + strconv.Itoa(r.maxDepth) + " levels"}
	case e.badName:
		return failure{"event", "event is invalid: string should be valid utf8"}
	case e.badUTF8 != nil:
		field := "properties." + string(e.badUTF8)
		return failure{field, field + " is invalid: string should be valid utf8"}
	}
	return failure{}
}

func blank(text []byte) bool {
	for _, r := range string(text) {
		if !unicode.IsSpace(r) {
			return false
		}
	}
	return true
}

// isVerb tells whether an event's name is one of the original ID merge's, for
// which a project on simplified ID merge refuses the whole request.
func isVerb(name []byte) bool {
	switch string(name) {
	case "$identify", "$create_alias", "$merge":
		return true
	}
	return false
}
