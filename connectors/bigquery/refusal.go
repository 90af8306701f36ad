package bigquery

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

const (
	readSessionHint = "grant roles/bigquery.readSessionUser on the project, by which large results come faster"
	selectHint      = "the query must be a single SELECT that runs as it stands: try it in BigQuery's console"
)

// refusal classifies BigQuery's word, which is the reason: the status beside it
// says less. https://cloud.google.com/bigquery/docs/error-messages lists them.
func (d *Driver) refusal(reason string, code int, message string) error {
	if message == "" { // no error as BigQuery words it
		message = fmt.Sprintf("the answer is %d %s, without a reason", code, http.StatusText(code))
	}
	e := &warehouse.Error{Class: warehouse.ClassQuery, Code: reason, Err: fmt.Errorf("bigquery: %s", oneLine(message))}
	switch reason {
	case "rateLimitExceeded", "jobRateLimitExceeded", "quotaExceeded", "backendError", "internalError", "tableUnavailable":
		e.Class, e.Hint = warehouse.ClassTransient, busyHint
	case "accessDenied", "forbidden":
		e.Class, e.Hint = warehouse.ClassCredentials, d.grantHint(message)
	case "accessNotConfigured", "billingNotEnabled", "SERVICE_DISABLED":
		e.Class = warehouse.ClassCredentials
		e.Hint = fmt.Sprintf("enable the BigQuery API, and billing, in project %s", d.options.Project)
	case "authError", "required":
		e.Class, e.Hint = warehouse.ClassCredentials, refusedHint
	case "notFound":
		e.Class, e.Hint = d.notFound(message)
	case "invalidQuery", "invalid":
		e.Class, e.Hint = warehouse.ClassSchema, queryHint(message)
		if strings.Contains(message, "partition elimination") {
			e.Err = fmt.Errorf("%w: %w", warehouse.ErrNeedsFilter, e.Err)
		}
	case "bytesBilledLimitExceeded":
		e.Hint = fmt.Sprintf("max_bytes_billed of this warehouse is %d bytes: raise it above what is required, or read less: "+
			"a cursor that the table is partitioned on, a later start, a query of fewer columns", d.options.MaxBytesBilled)
	case "stopped", "timeout":
		e.Hint = "somebody cancelled the job, or it took longer than job_timeout: raise that, or read less at a time with cursor.slice"
	case "resourcesExceeded", "responseTooLarge":
		e.Hint = "read less at a time with cursor.slice, or make the query simpler: sort and join less"
	default:
		e.Class, e.Hint = byStatus(code)
	}
	return e
}

// byStatus classifies an answer without a reason that is known.
func byStatus(code int) (warehouse.Class, string) {
	switch {
	case code == http.StatusUnauthorized:
		return warehouse.ClassCredentials, refusedHint
	case code == http.StatusForbidden:
		return warehouse.ClassCredentials, "check the roles of whom mixsync runs as, and VPC Service Controls"
	case code == http.StatusNotFound:
		return warehouse.ClassConfig, "check project and endpoint"
	case code == http.StatusTooManyRequests, code >= http.StatusInternalServerError:
		return warehouse.ClassTransient, busyHint
	}
	return warehouse.ClassQuery, ""
}

// grantHint names the role that holds the permission that BigQuery misses.
func (d *Driver) grantHint(message string) string {
	switch {
	case strings.Contains(message, "bigquery.jobs."):
		return fmt.Sprintf("grant roles/bigquery.jobUser on project %s to whom mixsync runs as", d.options.Project)
	case strings.Contains(message, "readsessions"):
		return readSessionHint
	case strings.Contains(message, "Drive credentials"):
		return "the table is a sheet of Google Drive, which mixsync does not read: copy it into a table"
	}
	return "grant roles/bigquery.dataViewer on the dataset (of a view, also on the datasets that it reads, or authorise the view) to whom mixsync runs as"
}

func (d *Driver) notFound(message string) (warehouse.Class, string) {
	switch {
	case strings.Contains(message, "location"):
		set := "it is not set"
		if d.options.Location != "" {
			set = fmt.Sprintf("it is %q", d.options.Location)
		}
		return warehouse.ClassSchema, "check the name of the dataset, and set location of this warehouse to where the dataset is (" + set + ")"
	case strings.Contains(message, "Project"):
		return warehouse.ClassConfig, "check project: it is the id, not the name or the number"
	case strings.Contains(message, "Job"):
		return warehouse.ClassTransient, ""
	}
	return warehouse.ClassSchema, "check the table's name: it is written project.dataset.table or dataset.table, with upper and lower case as in BigQuery"
}

func queryHint(message string) string {
	switch {
	case strings.Contains(message, "partition elimination"):
		return "the table must be read with a condition on the column that it is partitioned on: make that the cursor, or write a query with the condition in it"
	case strings.Contains(message, "Unrecognized name"), strings.Contains(message, "not found inside"):
		return "check the column's name"
	case strings.Contains(message, "Duplicate column"), strings.Contains(message, "ambiguous"):
		return "the query returns two columns of this name: give one of them another with AS"
	case strings.Contains(message, "must be qualified with a dataset"):
		return "write the table as dataset.table or project.dataset.table"
	}
	return selectHint
}
