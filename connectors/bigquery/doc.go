// Package bigquery reads Google BigQuery through Google's own client.
//
// A statement is a query job with an id of ours, so that it can be cancelled even
// when the answer that began it is lost. Small results come by REST pages. Larger
// ones come by the Storage Read API, as Arrow record batches over a few streams at
// a time; where that API is refused (no bigquery.readsessions.create, API not
// enabled, another service behind the endpoint) or not configured, they come by
// REST pages as well. Pages are put into Arrow arrays and go the same way from
// there, so both give the same values.
//
// Rows come in no order unless the statement has an ORDER BY, and then over one
// stream. A stream that breaks is taken up where it was, as Google's own reader
// does; a job is never run twice here.
//
// Conditions compare the bare column with a parameter of the column's own type:
// that is what lets BigQuery skip the partitions of a table that is partitioned
// on its cursor.
//
// BigQuery does not say who is still writing. A job's rows appear all at once when
// it ends, so a cursor that is set as a job begins needs a lookback longer than
// the longest such job.
package bigquery
