// Package identity holds the rules of Mixpanel's identities: which ids are fit to
// be sent, the id that Mixpanel derives from them, and the ids and hashes that
// mixsync derives from a row's key.
//
// Ids are never trimmed, folded or rounded: an id is taken as it is or refused.
// What the package derives is a pure function of its arguments and must not
// change between versions: Mixpanel deduplicates by it, and the state keeps it.
package identity

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// MaxLength is the length in bytes up to which Mixpanel keeps an id. Longer ones
// would be cut, and so merge with others.
const MaxLength = 255

// Problem is what makes an id unfit.
type Problem uint8

const (
	OK       Problem = iota
	Blank            // empty, or white space only
	Junk             // a placeholder such as "null", "0" or "undefined", which Mixpanel refuses
	Prefixed         // begins with $company:, $user: or $device:, which Mixpanel adds itself
	Invalid          // not UTF-8, or with a NUL
	TooLong          // over MaxLength
)

func (p Problem) String() string {
	return [...]string{
		"fit",
		"blank",
		"a placeholder that Mixpanel refuses as an id",
		"already prefixed; Mixpanel wants the bare id",
		"not valid UTF-8",
		"over 255 bytes long, where Mixpanel would cut it",
	}[p]
}

// Check judges an id that is to be sent bare: of a company, user, device or group.
func Check(id []byte) Problem {
	switch {
	case len(id) == 0:
		return Blank
	case len(id) > MaxLength:
		if blank(id) {
			return Blank
		}
		return TooLong
	case id[0] == '$':
		if bytes.HasPrefix(id, companyPrefix) || bytes.HasPrefix(id, userPrefix) || bytes.HasPrefix(id, devicePrefix) {
			return Prefixed
		}
	case IsJunk(id):
		return Junk
	}
	ascii := true
	for _, c := range id {
		if c >= utf8.RuneSelf {
			ascii = false
		} else if c == 0 {
			return Invalid
		}
	}
	if !ascii && !utf8.Valid(id) {
		return Invalid
	}
	if (id[0] <= ' ' || !ascii) && blank(id) {
		return Blank
	}
	return OK
}

func blank(id []byte) bool {
	return bytes.IndexFunc(id, func(r rune) bool { return !unicode.IsSpace(r) }) < 0
}

// IsBlank reports whether a value is empty or only white space.
func IsBlank(v []byte) bool {
	return len(v) == 0 || v[0] <= ' ' && blank(v) || v[0] >= utf8.RuneSelf && blank(v)
}

const zeroUUID = "00000000-0000-0000-0000-000000000000"

// IsJunk reports whether Mixpanel refuses an id as a placeholder. Case is ignored.
func IsJunk(id []byte) bool {
	if len(id) == len(zeroUUID) {
		return string(id) == zeroUUID
	}
	if len(id) == 0 || len(id) > len("anonymous") {
		return false
	}
	var lower [len("anonymous")]byte
	for i, c := range id {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(id)]) {
	case "anon", "anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown",
		"<nil>", "0", "-1", "true", "false", "[]", "{}", "lmy47d":
		return true
	}
	return false
}

var (
	companyPrefix = []byte("$company:")
	userPrefix    = []byte("$user:")
	devicePrefix  = []byte("$device:")
)

// AppendEvent appends the id that Mixpanel derives for an event of a
// hierarchical project from its bare ids; nil stands for none.
//
//	company, user          $company:c|$user:u
//	company, device        $company:c|$device:d
//	company                $company:c
//	user                   $user:u
//	device                 $device:d
//
// A device beside a user changes nothing.
func AppendEvent(dst, company, user, device []byte) []byte {
	if company != nil {
		dst = append(append(dst, companyPrefix...), company...)
		if user == nil && device == nil {
			return dst
		}
		dst = append(dst, '|')
	}
	if user != nil {
		return append(append(dst, userPrefix...), user...)
	}
	if device != nil {
		return append(append(dst, devicePrefix...), device...)
	}
	return dst
}

// AppendStandard appends the distinct id of an event of a standard project: the
// user's id, else the device's with its prefix, else nothing.
func AppendStandard(dst, user, device []byte) []byte {
	if user != nil {
		return append(dst, user...)
	}
	if device != nil {
		return append(append(dst, devicePrefix...), device...)
	}
	return dst
}

// AppendGroup appends the id that Mixpanel derives for the profile of a group
// of a hierarchical project: $company:c, $company:c|$user:u or $company:c|key:v.
// key is the group key by its full name.
func AppendGroup(dst, company []byte, key string, id []byte) []byte {
	dst = append(append(dst, companyPrefix...), company...)
	switch key {
	case "$company_id":
		return dst
	case "$user_id":
		dst = append(append(dst, '|'), userPrefix...)
	default:
		dst = append(append(append(dst, '|'), key...), ':')
	}
	return append(dst, id...)
}
