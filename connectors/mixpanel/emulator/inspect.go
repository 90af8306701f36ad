package emulator

import "fmt"

// Violation kinds: what Mixpanel takes without a word and should not have been sent.
const (
	WrongToken      = "wrong_token"      // a profile for another project; not stored
	WrongEndpoint   = "wrong_endpoint"   // /engage in a hierarchical project; not stored
	MissingCompany  = "missing_company"  // a profile without outer $company_id (not stored), or an event of a user without company
	CompanyMismatch = "company_mismatch" // a company profile whose $group_id and $company_id differ; not stored
	PrefixedID      = "prefixed_id"      // an id with a prefix that only Mixpanel may add; such a profile is not stored
	JunkID          = "junk_id"          // a profile of a placeholder such as "null"; not stored
	DuplicateKey    = "duplicate_key"    // a profile twice in one request: which write wins is not defined
	ConcurrentKey   = "concurrent_key"   // a profile in two requests at once: which write wins is not defined
	AddressIdentity = "address_identity" // an event that identifies nobody: Mixpanel makes a user of the sender's address
	UnknownMember   = "unknown_member"   // an event with a member besides event and properties
	Ignored         = "ignored"          // an event with $ignore: dropped, and counted as imported
)

// inspect notes what is wrong with a valid event.
func (s *Server) inspect(q *work, e *event, r *record, index int, hierarchical bool) {
	key := func() string { return string(r.insertID) }
	if e.extra != nil {
		q.note(UnknownMember, index, key(), fmt.Sprintf("member %q is not part of an event", e.extra))
	}
	if e.ignored {
		q.note(Ignored, index, key(), "$ignore drops the event")
	}
	known := e.userID.kind != absent || e.deviceID.kind != absent || e.companyID.kind != absent
	if !known && e.distinctID.kind == absent {
		q.note(AddressIdentity, index, key(), "no distinct_id, $user_id, $device_id or $company_id")
	}
	for _, id := range [...]value{e.userID, e.deviceID, e.companyID} {
		if id.kind != absent && isPrefixed(id.text()) {
			q.note(PrefixedID, index, key(), fmt.Sprintf("id %q must be sent bare", id.text()))
		}
	}
	if hierarchical && len(r.who.company) == 0 && len(r.who.id) > 0 &&
		(len(r.who.device) == 0 || e.userID.kind != absent) && e.distinctID.kind != absent {
		q.note(MissingCompany, index, key(), fmt.Sprintf("%q can never be merged with the same user of a company", r.who.id))
	}
}
