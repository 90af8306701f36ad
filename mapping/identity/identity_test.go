package identity_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mixsync/mixsync/mapping/identity"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		id   string
		want identity.Problem
	}{
		{"acme", identity.OK}, {"00", identity.OK}, {"1", identity.OK}, {" acme ", identity.OK}, {"a|b", identity.OK}, {"Zoë", identity.OK},
		{"$companyacme", identity.OK}, {"$", identity.OK}, {"nullable", identity.OK}, {" 0", identity.OK},
		{"", identity.Blank}, {" ", identity.Blank}, {"\t\n", identity.Blank}, {"\u00a0\u2003", identity.Blank}, {strings.Repeat(" ", 300), identity.Blank},
		{"0", identity.Junk}, {"-1", identity.Junk}, {"NULL", identity.Junk}, {"N/A", identity.Junk}, {"Undefined", identity.Junk}, {"anonymous", identity.Junk},
		{"<nil>", identity.Junk}, {"[]", identity.Junk}, {"{}", identity.Junk}, {"TRUE", identity.Junk}, {"false", identity.Junk}, {"None", identity.Junk},
		{"00000000-0000-0000-0000-000000000000", identity.Junk}, {"unknown", identity.Junk}, {"na", identity.Junk}, {"anon", identity.Junk}, {"nil", identity.Junk},
		{"$company:acme", identity.Prefixed}, {"$user:", identity.Prefixed}, {"$device:x", identity.Prefixed},
		{"a\xff", identity.Invalid}, {"a\x00b", identity.Invalid},
		{strings.Repeat("x", 255), identity.OK}, {strings.Repeat("x", 256), identity.TooLong},
	}
	for _, tt := range tests {
		if got := identity.Check([]byte(tt.id)); got != tt.want {
			t.Errorf("Check(%.40q) = %s, want %s", tt.id, got, tt.want)
		}
	}
}

func TestDerivedIDs(t *testing.T) {
	t.Parallel()
	id := func(s string) []byte {
		if s == "" {
			return nil
		}
		return []byte(s)
	}
	events := []struct{ company, user, device, want, standard string }{
		{"acme", "alice", "", "$company:acme|$user:alice", "alice"},
		{"acme", "alice", "d1", "$company:acme|$user:alice", "alice"},
		{"acme", "", "", "$company:acme", ""},
		{"acme", "", "d1", "$company:acme|$device:d1", "$device:d1"},
		{"", "alice", "", "$user:alice", "alice"},
		{"", "alice", "d1", "$user:alice", "alice"},
		{"", "", "d1", "$device:d1", "$device:d1"},
		{"", "", "", "", ""},
	}
	for _, tt := range events {
		if got := string(identity.AppendEvent(nil, id(tt.company), id(tt.user), id(tt.device))); got != tt.want {
			t.Errorf("AppendEvent(%q, %q, %q) = %s, want %s", tt.company, tt.user, tt.device, got, tt.want)
		}
		if got := string(identity.AppendStandard(nil, id(tt.user), id(tt.device))); got != tt.standard {
			t.Errorf("AppendStandard(%q, %q) = %s, want %s", tt.user, tt.device, got, tt.standard)
		}
	}
	for key, want := range map[string]string{
		"$company_id": "$company:acme",
		"$user_id":    "$company:acme|$user:7",
		"team_id":     "$company:acme|team_id:7",
	} {
		if got := string(identity.AppendGroup(nil, []byte("acme"), key, []byte("7"))); got != want {
			t.Errorf("AppendGroup(acme, %s, 7) = %s, want %s", key, got, want)
		}
	}
}

func TestInsertID(t *testing.T) {
	t.Parallel()
	legal := map[string]bool{
		"a-B-9": true, strings.Repeat("a", 36): true, strings.Repeat("a", 37): false, "": false, "a_b": false, "a b": false,
		"ë": false, "0": false, "null": false, "-1": false, "00000000-0000-0000-0000-000000000000": false, "1": true,
	}
	for id, want := range legal {
		if got := identity.LegalInsertID([]byte(id)); got != want {
			t.Errorf("LegalInsertID(%q) = %v, want %v", id, got, want)
		}
		made := string(identity.AppendInsertIDOf(nil, []byte(id)))
		if !identity.LegalInsertID([]byte(made)) || want != (made == id) {
			t.Errorf("AppendInsertIDOf(%q) = %q", id, made)
		}
	}
}

// The hashes are kept by Mixpanel and by the state: they must never change.
func TestHashesAreStable(t *testing.T) {
	t.Parallel()
	key := identity.AppendPart(identity.AppendNull(identity.AppendPart(nil, []byte("1"))), []byte("eu"))
	digest, namespace := identity.DigestKey(key), identity.NewNamespace("usage")
	if digest.Hash() != identity.Hash(key) {
		t.Errorf("the digest's hash is %#x, want %#x", digest.Hash(), identity.Hash(key))
	}
	if got, want := string(namespace.AppendInsertID(nil, &digest)), "0e8fda8046314943d0c3742f96a7b127"; got != want {
		t.Errorf("AppendInsertID = %s, want %s", got, want)
	}
	if got, want := string(identity.AppendInsertIDOf(nil, []byte("a_b"))), "648fa9b31bc7ff7eb914e7a7180f07e0"; got != want {
		t.Errorf("AppendInsertIDOf = %s, want %s", got, want)
	}
	if got, want := identity.Hash(key), uint64(0xdd9772ca2e4d638f); got != want {
		t.Errorf("Hash = %#x, want %#x", got, want)
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"acme", "", " ", "$user:x", "null", "\xff", "\u00a0"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, id []byte) {
		got := identity.Check(id)
		blank := strings.TrimSpace(string(id)) == ""
		if blank != (got == identity.Blank) {
			t.Errorf("Check(%q) = %s, blank is %v", id, got, blank)
		}
		if blank != identity.IsBlank(id) {
			t.Errorf("IsBlank(%q) = %v", id, !blank)
		}
		if got == identity.OK && (!utf8.Valid(id) || bytes.IndexByte(id, 0) >= 0 || len(id) > identity.MaxLength || identity.IsJunk(id)) {
			t.Errorf("Check(%q) = ok", id)
		}
		if made := identity.AppendInsertIDOf(nil, id); !identity.LegalInsertID(made) {
			t.Errorf("AppendInsertIDOf(%q) = %q, which is not legal", id, made)
		}
	})
}

// FuzzParts checks that different lists of values have different encodings, so
// that ("a", "bc") and ("ab", "c") do not become one key.
func FuzzParts(f *testing.F) {
	f.Add("a", "bc", "ab", "c", true)
	f.Fuzz(func(t *testing.T, a, b, c, d string, null bool) {
		encode := func(x, y string) []byte { return identity.AppendPart(identity.AppendPart(nil, []byte(x)), []byte(y)) }
		if same := a == c && b == d; same != bytes.Equal(encode(a, b), encode(c, d)) {
			t.Errorf("(%q, %q) and (%q, %q): same is %v", a, b, c, d, same)
		}
		if null && bytes.Equal(identity.AppendNull(nil), identity.AppendPart(nil, []byte(a))) {
			t.Errorf("%q has the encoding of NULL", a)
		}
	})
}
