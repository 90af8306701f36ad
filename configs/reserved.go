package configs

import (
	"slices"
	"strings"

	"github.com/mixsync/mixsync/mapping"
)

// Names of properties that Mixpanel gives a meaning of its own. A rename or a
// constant must not take them: it would overwrite what the mapping says, hide
// the event, or be overwritten itself.
var (
	eventMembers = map[string]string{
		"distinct_id": "user_id", "$distinct_id": "user_id", "$user_id": "user_id", "$device_id": "device_id", "$company_id": "company_id",
		"$insert_id": "insert_id", "time": "time", "$time": "time", "ip": "ip", "$event_name": "event", "token": "", "$token": "",
	}
	profileMembers = map[string]string{
		"$distinct_id": "user_id", "distinct_id": "user_id", "$company_id": "company_id", "$user_id": "user_id", "$device_id": "", "$group_id": "group_id",
		"$group_key": "", "$token": "", "token": "", "$ip": "", "$time": "", "$ignore_time": "", "$ignore_alias": "",
	}
	harmful     = []string{"bucket", "$bucket", "$ignore"}
	eventOutput = []string{
		"$identified_id", "$anon_id", "alias", "$distinct_ids", "$distinct_id_before_identity", "$is_reshuffled", "$preshuffle_distinct_id",
		"$failure_reason", "$failure_description", "$identity_failure_reason", "mp_original_event_name", "mp_original_distinct_id", "$import",
		"$mp_api_endpoint", "$mp_api_timestamp_ms", "mp_processing_time_ms", "$mp_event_size",
	}
	profileOutput = []string{"$last_seen", "$mp_first_event_time"}
)

// reservedName says why a property of the type may not have the name, and what
// to do instead; message is empty if it may.
func reservedName(t mapping.Type, name string) (message, hint string) {
	members, output := eventMembers, eventOutput
	if t != mapping.Event {
		members, output = profileMembers, profileOutput
	}
	key, member := members[name]
	switch {
	case t == mapping.Lookup || t == "":
		return "", ""
	case member && key == "user_id" && strings.HasSuffix(name, "distinct_id"):
		return "is set by mixsync", "map user_id (and company_id); the distinct id is derived from them"
	case member && key != "":
		return "is set by the mapping", "write mapping: {" + key + ": column}"
	case member:
		return "is set by mixsync", "choose another name"
	case slices.Contains(harmful, name):
		return "makes Mixpanel hide or drop the record", "choose another name"
	case slices.Contains(output, name):
		return "is computed by Mixpanel; what is sent is lost", "choose another name"
	}
	return "", ""
}
