// Package mixpanel speaks Mixpanel's ingestion wire: bytes and HTTP, not rows.
//
// A Client makes one attempt and reports one Outcome; it never loops. Retry,
// splitting and pacing belong to its caller, who owns the budget. The body of
// every answer is read, because a status alone proves nothing on this API.
//
// The package imports nothing of ours.
package mixpanel
