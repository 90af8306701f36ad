package bigquery

import (
	"strings"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Options say which project queries run in, as whom, and within which limits.
type Options struct {
	Project  string // pays for the queries; required
	Location string // of the data sets; empty: BigQuery finds it

	// Credentials are the JSON of a service account, of a workload identity or of
	// gcloud's own; empty: Application Default Credentials.
	Credentials string
	Impersonate string // e-mail address of a service account to act as

	Labels         map[string]string // of every job
	MaxBytesBilled int64             // a job that would bill more fails before it runs; 0: the project's limit
	JobTimeout     time.Duration     // 0: BigQuery's own
	Priority       string            // Interactive, Batch, or empty for Interactive

	// Endpoint is the REST API's, GRPCEndpoint the Storage Read API's. With only
	// the first set, results come by REST pages alone.
	Endpoint, GRPCEndpoint string
	Insecure               bool // neither TLS nor credentials: for test servers

	// PageRows is the most rows of a REST page, and of a result that is not worth a
	// read session; 0 is 10,000.
	PageRows int
	// SessionForAll has small results read by sessions as well.
	SessionForAll bool
	// Patience is how long a service may fail to answer before it is given up; 0 is
	// 15 s, which with the client's waits makes half a minute at most. Google's
	// client by itself would try for ever.
	Patience time.Duration

	UserAgent string
}

// Priorities of jobs.
const (
	Interactive = "interactive" // runs at once
	Batch       = "batch"       // waits for idle slots
)

const (
	defaultPageRows = 10_000
	defaultPatience = 15 * time.Second
)

func (o *Options) complete() error {
	switch {
	case o.Project == "":
		return warehouse.Errorf(warehouse.ClassConfig, "set project to the Google Cloud project that pays for the queries", "a bigquery warehouse has no project")
	case o.Priority != "" && o.Priority != Interactive && o.Priority != Batch:
		return warehouse.Errorf(warehouse.ClassConfig, "write interactive or batch", "priority %q of a bigquery warehouse is not known", o.Priority)
	case o.MaxBytesBilled < 0 || o.JobTimeout < 0 || o.PageRows < 0 || o.Patience < 0:
		return warehouse.Errorf(warehouse.ClassConfig, "leave it out for the default", "limits and times of a bigquery warehouse cannot be negative")
	case o.Insecure && o.Endpoint == "":
		return warehouse.Errorf(warehouse.ClassConfig, "set endpoint as well, or remove insecure", "insecure is for test servers: Google's own are never spoken to without TLS")
	case o.Insecure && o.Impersonate != "":
		return warehouse.Errorf(warehouse.ClassConfig, "remove impersonate or insecure", "insecure sends no credentials: nobody can be impersonated")
	}
	if o.PageRows == 0 {
		o.PageRows = defaultPageRows
	}
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	return nil
}

// endpoint is Endpoint as a URL. Google's client takes a bare host:port for one that
// speaks TLS.
func (o *Options) endpoint() string {
	if o.Insecure && !strings.Contains(o.Endpoint, "://") {
		return "http://" + o.Endpoint
	}
	return o.Endpoint
}
