package emulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mixsync/mixsync/connectors/mixpanel/emulator"
)

// A test starts a project of its own, sends to it, and looks at what it holds.
func Example() {
	test := func(t *testing.T) {
		mixpanel := emulator.Start(t, emulator.Options{
			Model: emulator.Hierarchical,
			// The second request is answered 429, as Mixpanel does under load.
			Faults: emulator.Faults{Rules: []emulator.Rule{{Kind: emulator.FaultThrottle, After: 1, Next: 1}}},
		})

		// Here your own code would send to mixpanel.URL.
		profile := `[{"$token":"T","$group_key":"$user_id","$group_id":"alice","$company_id":"acme","$set":{"role":"admin"}}]`
		answer, err := http.Post(mixpanel.URL+"/groups?verbose=1", "application/json", strings.NewReader(profile))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()

		alice := mixpanel.Profiles()["$company:acme|$user:alice"]
		if alice.Properties["role"] != "admin" {
			t.Errorf("alice = %+v", alice)
		}
		for _, v := range mixpanel.Violations() {
			t.Errorf("Mixpanel would have lost a record: %s: %s", v.Kind, v.Detail)
		}
	}
	fmt.Println(testing.RunTests(func(string, string) (bool, error) { return true, nil },
		[]testing.InternalTest{{Name: "Example", F: test}}))
	// Output: true
}

// A Server is an http.Handler: it needs no network to be asked.
func ExampleServer_InsertIDs() {
	s := emulator.New(emulator.Options{KeysOnly: true})
	for _, id := range []string{"b", "a", "b"} {
		body := `{"event":"E","properties":{"time":1700000000,"$insert_id":"` + id + `","$company_id":"acme"}}`
		r, _ := http.NewRequest(http.MethodPost, "/import?strict=1", strings.NewReader(body))
		r.SetBasicAuth("token", "")
		s.ServeHTTP(discard{}, r)
	}
	fmt.Println(s.RawCount(), s.InsertIDs())
	// Output: 3 [a b]
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
