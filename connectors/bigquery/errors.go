package bigquery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"cloud.google.com/go/bigquery"
	"google.golang.org/api/googleapi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// failure classifies what went wrong with a statement or its result. The end of
// the context is nobody's fault.
func (d *Driver) failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var known *warehouse.Error
	if errors.As(err, &known) {
		return err
	}
	// The client's own retries wrap what they gave up on, twice over.
	var api *googleapi.Error
	if errors.As(err, &api) {
		reason := ""
		if len(api.Errors) > 0 {
			reason = api.Errors[0].Reason
		}
		return d.refusal(reason, api.Code, api.Message)
	}
	var job *bigquery.Error
	if errors.As(err, &job) {
		return d.refusal(job.Reason, 0, job.Message)
	}
	var gone *givenUp
	if errors.As(err, &gone) {
		switch {
		case isCredentials(gone) && strings.Contains(gone.Error(), "dial tcp"): // where tokens come from
			return &warehouse.Error{Class: warehouse.ClassUnreachable, Hint: d.reachHint("bigquery.googleapis.com", ""), Err: gone}
		case isCredentials(gone):
			return credentialsError(gone, &d.options)
		case gone.status != 0:
			return &warehouse.Error{Class: warehouse.ClassTransient, Code: gone.reason, Hint: busyHint, Err: gone}
		}
		return &warehouse.Error{Class: warehouse.ClassUnreachable, Hint: d.reachHint("bigquery.googleapis.com", d.options.Endpoint), Err: gone}
	}
	if s, ok := status.FromError(err); ok {
		return d.rpcFailure(s)
	}
	return d.networkFailure(err)
}

// networkFailure classifies what is nobody's answer.
func (d *Driver) networkFailure(err error) error {
	var dns *net.DNSError
	var op *net.OpError
	if errors.As(err, &dns) || errors.As(err, &op) && op.Op == "dial" || strings.Contains(err.Error(), "tls: ") || strings.Contains(err.Error(), "x509: ") {
		return warehouse.Errorf(warehouse.ClassUnreachable, d.reachHint("bigquery.googleapis.com", d.options.Endpoint), "connect to bigquery: %w", err)
	}
	if isCredentials(err) {
		return credentialsError(err, &d.options)
	}
	if errors.As(err, &op) || strings.Contains(err.Error(), "EOF") || strings.Contains(err.Error(), "http2: ") {
		return warehouse.Errorf(warehouse.ClassTransient, "", "the connection to bigquery was lost: %w", err)
	}
	return warehouse.Errorf(warehouse.ClassQuery, "", "bigquery: %w", err)
}

func (d *Driver) reachHint(host, endpoint string) string {
	if endpoint != "" {
		return fmt.Sprintf("check that a server listens at %s", endpoint)
	}
	return fmt.Sprintf("let mixsync through to %s and to where its tokens come from, port 443, and check the proxy, if there is one", host)
}

// rpcFailure classifies an answer of the Storage Read API.
func (d *Driver) rpcFailure(s *status.Status) error {
	e := &warehouse.Error{Class: warehouse.ClassQuery, Code: s.Code().String(), Err: fmt.Errorf("bigquery storage read: %s", oneLine(s.Message()))}
	switch s.Code() {
	case codes.Unavailable, codes.DeadlineExceeded:
		e.Class = warehouse.ClassUnreachable
		e.Hint = d.reachHint("bigquerystorage.googleapis.com", d.options.GRPCEndpoint)
	case codes.Aborted, codes.Canceled, codes.Internal, codes.ResourceExhausted:
		e.Class = warehouse.ClassTransient
	case codes.PermissionDenied:
		e.Class, e.Hint = warehouse.ClassCredentials, readSessionHint
	case codes.Unauthenticated:
		e.Class, e.Hint = warehouse.ClassCredentials, refusedHint
	}
	return e
}

const (
	busyHint    = "run again later; if it persists, look at the quotas of the project and at https://status.cloud.google.com"
	refusedHint = "the credentials have expired or were withdrawn: check that the key is still there in IAM and that the clock of this machine is right, or log in again"
	adcHint     = "set credentials to the JSON of a service account or workload identity, run gcloud auth application-default login, " +
		"or let the machine or pod have a service account; GOOGLE_APPLICATION_CREDENTIALS names a file that holds one"
)

// isCredentials knows the errors of Google's libraries that come while a token is
// fetched, which have no type in common.
func isCredentials(err error) bool {
	text := err.Error()
	for _, sign := range []string{"oauth2", "default credentials", "impersonate:", "credentials:", "auth:", "sts.googleapis.com", "metadata: "} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// credentialsError is an error of becoming who we are to be.
func credentialsError(err error, o *Options) error {
	text := oneLine(err.Error())
	e := &warehouse.Error{Class: warehouse.ClassCredentials, Hint: refusedHint}
	switch {
	case o.Impersonate != "" && strings.Contains(text, "impersonate"):
		e.Hint = fmt.Sprintf("give whom mixsync runs as roles/iam.serviceAccountTokenCreator on %s, and enable the IAM Service Account Credentials API", o.Impersonate)
		e.Err = fmt.Errorf("to act as %s is refused: %s", o.Impersonate, text)
	case o.Credentials == "":
		e.Hint = adcHint
		e.Err = fmt.Errorf("no credentials for bigquery: %s", text)
	default:
		e.Err = fmt.Errorf("the credentials of bigquery are refused: %s", text)
	}
	return e
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
