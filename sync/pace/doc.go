// Package pace is what the senders of one project share: how many requests are
// under way at once, how long everybody stands still after Mixpanel asked for
// it, how often a request is tried again, and how many bytes are in flight.
//
// There is no rate to configure. Mixpanel counts per project over a rolling
// minute and other writers draw on the same allowance, so the only honest
// measure is its answers: a Limiter adds a sender while that brings more
// requests through, and takes some away on 429.
//
// The package imports nothing of ours and starts no goroutines.
package pace
