package emulator

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"strings"
	"unicode/utf8"
)

// maxText is how many bytes Mixpanel keeps of a string; the rest is cut off.
const maxText = 255

// truncate cuts text to what Mixpanel keeps, never inside a rune.
func truncate[T ~string | ~[]byte](text T) T {
	if len(text) <= maxText {
		return text
	}
	end := maxText
	for end > maxText-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// junkIDs stand for "nobody" by mistake; Mixpanel refuses them in any case.
var junkIDs = []string{
	"00000000-0000-0000-0000-000000000000", "anon", "anonymous", "nil", "none", "null", "n/a", "na", "undefined",
	"unknown", "<nil>", "0", "-1", "true", "false", "[]", "{}",
}

func isJunk(id []byte) bool {
	if len(id) > 36 {
		return false
	}
	for _, junk := range junkIDs {
		if len(id) == len(junk) && strings.EqualFold(string(id), junk) {
			return true
		}
	}
	return false
}

// isPrefixed tells whether an id has the form that only Mixpanel may build.
func isPrefixed(id []byte) bool {
	return bytes.HasPrefix(id, []byte("$company:")) || bytes.HasPrefix(id, []byte("$user:")) ||
		bytes.HasPrefix(id, []byte("$device:"))
}

// identity is who an event belongs to.
type identity struct {
	id      []byte // the stored distinct_id
	device  []byte // bare device id, if any
	company []byte // bare company id, if any
	links   bool   // the event says that device is id
}

// identify derives an event's stored distinct_id as Mixpanel does, appending it
// to dst. The ids sent decide; the distinct_id sent counts only without them.
func identify(dst []byte, p *properties, hierarchical bool, remote string) ([]byte, identity) {
	var who identity
	user := truncate(p.userID.text())
	who.device = truncate(bytes.TrimPrefix(p.deviceID.text(), []byte("$device:")))
	if hierarchical {
		who.company = truncate(p.companyID.text())
	}
	start := len(dst)
	part := func(prefix string, id []byte) {
		if len(dst) > start {
			dst = append(dst, '|')
		}
		dst = append(append(dst, prefix...), id...)
	}
	if len(who.company) > 0 {
		part("$company:", who.company)
	}
	sent := truncate(p.distinctID.text())
	switch {
	case len(user) > 0 && hierarchical:
		part("$user:", user)
		who.links = len(who.device) > 0 && len(who.company) > 0
	case len(user) > 0:
		dst = append(dst, user...)
		who.links = len(who.device) > 0
	case len(who.device) > 0:
		part("$device:", who.device)
	case len(who.company) > 0:
	case p.distinctID.kind == absent:
		part("$device:", addressID(remote))
	default:
		dst = append(dst, sent...)
		if device, ok := bytes.CutPrefix(sent, []byte("$device:")); ok {
			who.device = device
		}
	}
	who.id = dst[start:len(dst):len(dst)]
	return dst, who
}

// addressID is whom Mixpanel takes an event for that identifies nobody: one
// user per address, which is why a worker must send an empty distinct_id.
func addressID(remote string) []byte {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		remote = host
	}
	sum := sha256.Sum256([]byte(remote))
	return hex.AppendEncode(nil, sum[:16])
}

// composite is the id of a profile, derived from the bare ids it was sent with.
func composite(hierarchical bool, groupKey, groupID, company string) string {
	switch {
	case !hierarchical:
		return groupKey + ":" + groupID
	case groupKey == "$company_id":
		return "$company:" + company
	case groupKey == "$user_id":
		return "$company:" + company + "|$user:" + groupID
	}
	return "$company:" + company + "|" + groupKey + ":" + groupID
}

// deviceAt returns where the bare device id begins in a stored distinct_id that
// ends with one, or -1.
func deviceAt(id string) int {
	const prefix = "$device:"
	if strings.HasPrefix(id, prefix) {
		return len(prefix)
	}
	if at := strings.LastIndex(id, "|"+prefix); at >= 0 && strings.HasPrefix(id, "$company:") {
		return at + 1 + len(prefix)
	}
	return -1
}
