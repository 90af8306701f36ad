//go:build cgo

package bigquery_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mixsync/mixsync/connectors/bigquery"
	"github.com/mixsync/mixsync/connectors/bigquery/bigquerytest"
	"github.com/mixsync/mixsync/connectors/warehouse"
)

// TestRefusals are BigQuery's words, and what is made of them.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := bigquerytest.Start(t, bigquerytest.Options{})
	d := open(t, s, bigquery.Options{MaxBytesBilled: 1 << 20, Location: "US"})
	for _, test := range []struct {
		status          int
		reason, message string
		class           warehouse.Class
		hint            string
	}{
		{403, "accessDenied", "Access Denied: Project p: User does not have bigquery.jobs.create permission in project p.", warehouse.ClassCredentials, "roles/bigquery.jobUser on project test-project"},
		{403, "accessDenied", "Access Denied: Table p:d.t: User does not have permission to query table p:d.t", warehouse.ClassCredentials, "roles/bigquery.dataViewer on the dataset"},
		{403, "accessDenied", "Access Denied: BigQuery BigQuery: Permission denied while getting Drive credentials.", warehouse.ClassCredentials, "Google Drive"},
		{403, "accessNotConfigured", "BigQuery API has not been used in project p before or it is disabled.", warehouse.ClassCredentials, "enable the BigQuery API"},
		{403, "vpcServiceControls", "Request is prohibited by organization's policy.", warehouse.ClassCredentials, "VPC Service Controls"},
		{401, "authError", "Invalid Credentials", warehouse.ClassCredentials, "have expired"},
		{404, "notFound", "Not found: Dataset p:d was not found in location US", warehouse.ClassSchema, `set location of this warehouse to where the dataset is (it is "US")`},
		{404, "notFound", "Not found: Table p:d.t", warehouse.ClassSchema, "project.dataset.table"},
		{404, "notFound", "Not found: Project q", warehouse.ClassConfig, "check project"},
		{400, "invalidQuery", "Unrecognized name: nam; Did you mean name? at [1:8]", warehouse.ClassSchema, "check the column's name"},
		{400, "invalidQuery", "Syntax error: Expected end of input but got identifier", warehouse.ClassSchema, "single SELECT"},
		{400, "invalid", `Table "t" must be qualified with a dataset (e.g. dataset.table).`, warehouse.ClassSchema, "dataset.table"},
		{400, "bytesBilledLimitExceeded", "Query exceeded limit for bytes billed: 1048576. 10485760 or higher required.", warehouse.ClassQuery, "max_bytes_billed of this warehouse is 1048576 bytes"},
		{400, "resourcesExceeded", "Resources exceeded during query execution", warehouse.ClassQuery, "cursor.slice"},
		{400, "stopped", "Job execution was cancelled: Job timed out", warehouse.ClassQuery, "job_timeout"},
		{403, "quotaExceeded", "Quota exceeded: Your project exceeded quota for concurrent queries.", warehouse.ClassTransient, ""},
		{404, "strange", "no such page", warehouse.ClassConfig, "check project and endpoint"},
		{418, "strange", "I am a teapot", warehouse.ClassQuery, ""},
	} {
		s.FailCalls(1, test.status, test.reason, test.message)
		_, err := d.Query(t.Context(), "SELECT 1 AS n")
		wantError(t, err, test.class, strings.Fields(test.message)[0], test.hint)
		if test.reason == "strange" || test.reason == "vpcServiceControls" || test.status == 401 {
			continue // no failure of jobs
		}
		s.FailJobs(1, test.reason, test.message)
		_, err = d.Query(t.Context(), "SELECT 1 AS n")
		wantError(t, err, test.class, strings.Fields(test.message)[0], test.hint)
	}
}

// TestRefusedForReal has the stand-in itself refuse.
func TestRefusedForReal(t *testing.T) {
	t.Parallel()
	s := bigquerytest.Start(t, bigquerytest.Options{Location: "EU"})
	s.Exec(t, "CREATE SCHEMA app; CREATE TABLE app.t AS SELECT n FROM range(50) AS r(n)")
	d := open(t, s, bigquery.Options{MaxBytesBilled: 1000})
	_, err := d.Query(t.Context(), "SELECT n FROM `app.t`")
	wantError(t, err, warehouse.ClassQuery, "5000 or higher required", "is 1000 bytes")
	if bytes, err := d.Estimate(t.Context(), "SELECT n FROM `app.t`"); err != nil || bytes != 5000 {
		t.Errorf("Estimate beyond the limit = %d, %v, want 5000", bytes, err)
	}
	d = open(t, s, bigquery.Options{Location: "asia-northeast1"})
	_, err = warehouse.Describe(t.Context(), d, warehouse.Source{Table: "app.t"})
	wantError(t, err, warehouse.ClassSchema, "was not found in location asia-northeast1", `it is "asia-northeast1"`)
	d = open(t, s, bigquery.Options{JobTimeout: 200 * time.Millisecond})
	_, err = d.Query(t.Context(), "SELECT SUM(MOD(a * b, 7)) AS n FROM UNNEST(GENERATE_ARRAY(1, 1000000)) AS a, UNNEST(GENERATE_ARRAY(1, 1000000)) AS b")
	wantError(t, err, warehouse.ClassQuery, "timed out", "job_timeout")
	d = open(t, s, bigquery.Options{Patience: time.Second})
	s.FailCalls(100, 503, "backendError", "try again")
	_, err = d.Query(t.Context(), "SELECT 1 AS n")
	wantError(t, err, warehouse.ClassTransient, "has answered 503", "run again later")
}

// TestJobThatStaysFailed ends: the client repeats such a refusal for ever, and the
// job gives it for ever.
func TestJobThatStaysFailed(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"rateLimitExceeded", "jobRateLimitExceeded", "backendError", "internalError"} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			s := bigquerytest.Start(t, bigquerytest.Options{})
			d := open(t, s, bigquery.Options{Patience: time.Second})
			s.FailJobs(1, reason, "Exceeded rate limits: too many table update operations")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			_, err := d.Query(ctx, "SELECT 1 AS n")
			wantError(t, err, warehouse.ClassTransient, "Exceeded rate limits", "run again later")
		})
	}
}

// TestEndpoints are of servers that are no BigQuery, or are written without scheme.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	s := bigquerytest.Start(t, bigquerytest.Options{})
	d := open(t, s, bigquery.Options{Endpoint: strings.TrimPrefix(s.Endpoint, "http://")})
	if _, total, err := sum(t, d, "SELECT 7 AS n"); err != nil || total != 7 {
		t.Errorf("an endpoint without scheme: %d, %v", total, err)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	_, err := bigquery.Open(t.Context(), bigquery.Options{Project: "p", Endpoint: other.URL, Insecure: true})
	wantError(t, err, warehouse.ClassConfig, "404 Not Found", "check project and endpoint")
	_, err = bigquery.Open(t.Context(), bigquery.Options{Project: "p", Endpoint: s.Endpoint, Credentials: serviceAccount(t, "http://127.0.0.1:1/token"), Patience: time.Second})
	wantError(t, err, warehouse.ClassUnreachable, "cannot fetch token", "where its tokens come from")
}

// TestCredentials are checked before anybody else reads them, and never told.
func TestCredentials(t *testing.T) {
	for name, test := range map[string]struct {
		options    bigquery.Options
		class      warehouse.Class
		text, hint string
	}{
		"no project":        {bigquery.Options{}, warehouse.ClassConfig, "no project", "pays"},
		"priority":          {bigquery.Options{Project: "p", Priority: "urgent"}, warehouse.ClassConfig, `"urgent"`, "interactive or batch"},
		"insecure alone":    {bigquery.Options{Project: "p", Insecure: true}, warehouse.ClassConfig, "insecure", "endpoint"},
		"no JSON":           {bigquery.Options{Project: "p", Credentials: "sesame"}, warehouse.ClassConfig, "no JSON", "credentials: ${file:"},
		"cut short":         {bigquery.Options{Project: "p", Credentials: `{"type": "service_account", "private_key": "sesame`}, warehouse.ClassConfig, "no JSON", "whole JSON"},
		"another type":      {bigquery.Options{Project: "p", Credentials: `{"type": "sesame"}`}, warehouse.ClassConfig, "their type is none of", "whole JSON"},
		"no e-mail address": {bigquery.Options{Project: "p", Credentials: `{"type": "service_account", "private_key": "sesame"}`}, warehouse.ClassConfig, "client_email", "whole JSON"},
		"no key": {bigquery.Options{Project: "p", Credentials: `{"type": "service_account", "client_email": "a@b", "private_key": "-----BEGIN PRIVATE KEY----- sesame -----END PRIVATE KEY-----"}`},
			warehouse.ClassConfig, "line breaks", "whole JSON"},
		"nobody": {bigquery.Options{Project: "p"}, warehouse.ClassCredentials, "no credentials for bigquery", "gcloud auth application-default login"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/adc.json")
			_, err := bigquery.Open(t.Context(), test.options)
			wantError(t, err, test.class, test.text, test.hint)
			if err != nil && strings.Contains(err.Error(), "sesame") && test.options.Priority == "" {
				t.Errorf("the error tells the credentials: %v", err)
			}
		})
	}
}

// TestServiceAccount sends what a key of a service account gives.
func TestServiceAccount(t *testing.T) {
	t.Parallel()
	s := bigquerytest.Start(t, bigquerytest.Options{})
	d, err := bigquery.Open(t.Context(), bigquery.Options{Project: "test-project", Endpoint: s.Endpoint, Credentials: serviceAccount(t, s.Endpoint+"/token")})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, _, err := sum(t, d, "SELECT 1 AS n"); err != nil {
		t.Fatal(err)
	}
	if got := s.Authorization(); !strings.HasPrefix(got, "Bearer ") || len(got) < len("Bearer standin-token") {
		t.Errorf("Authorization = %q, want a token", got)
	}
	s.ExpireToken(1)
	_, err = d.Query(t.Context(), "SELECT 1 AS n")
	wantError(t, err, warehouse.ClassCredentials, "invalid authentication credentials", "have expired")
}

// serviceAccount makes the JSON of a key.
func serviceAccount(t *testing.T, tokenURI string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "test-project", "private_key_id": "1", "client_email": "mixsync@test-project.iam.gserviceaccount.com",
		"client_id": "1", "token_uri": tokenURI, "private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
