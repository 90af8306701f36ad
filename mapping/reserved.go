package mapping

import "slices"

// Names that Mixpanel keeps for itself, by what a property of that name would do.
var (
	// Members that a record gets from the mapping.
	eventMembers = []string{
		"distinct_id", "$distinct_id", "$device_id", "$user_id", "$company_id", "$insert_id",
		"time", "$time", "token", "ip", "$event_name",
	}
	profileMembers = []string{
		"$token", "$distinct_id", "$group_key", "$group_id", "$company_id", "$user_id", "$device_id",
		"$ip", "$time", "$ignore_time", "$ignore_alias",
	}
	// Names that change how Mixpanel treats the record or its neighbours.
	harmful = []string{"bucket", "$bucket", "$ignore"}
	// Names that Mixpanel computes and hands out; what is sent is lost or misread.
	eventOutput = []string{
		"$identified_id", "$anon_id", "alias", "$distinct_ids", "$distinct_id_before_identity", "$is_reshuffled",
		"$preshuffle_distinct_id", "$failure_reason", "$failure_description", "$identity_failure_reason",
		"mp_original_event_name", "mp_original_distinct_id", "$import", "$mp_api_endpoint", "$mp_api_timestamp_ms",
		"mp_processing_time_ms", "$mp_event_size",
	}
	profileOutput = []string{"$last_seen", "$mp_first_event_time"}
)

// reserved says why a property may not have a name; empty if it may.
func reserved(t Type, name string) string {
	members, output := eventMembers, eventOutput
	if t != Event {
		members, output = profileMembers, profileOutput
	}
	switch {
	case slices.Contains(members, name):
		return "is a member that only the mapping may set"
	case slices.Contains(harmful, name):
		return "changes how Mixpanel treats the record"
	case slices.Contains(output, name):
		return "is computed by Mixpanel and cannot be set"
	}
	return ""
}

// reservedNames lists the names for which reserved has a reason.
func reservedNames(t Type) []string {
	if t != Event {
		return slices.Concat(profileMembers, harmful, profileOutput)
	}
	return slices.Concat(eventMembers, harmful, eventOutput)
}

// verbs are events that act on identities instead of telling what happened. In a
// project with simplified identity they get the whole request refused.
var verbs = []string{"$identify", "$create_alias", "$merge"}
