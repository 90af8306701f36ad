// Package emulator is a local Mixpanel: an http.Handler that validates, stores
// and answers as the ingestion API does, and can be told to misbehave.
//
// It serves mixsync's own tests, the command "mixsync emulator" and users' CI.
// Beyond the write paths (/import, /groups, /engage, /lookup-tables) and the raw
// export it has a page for people at /, a JSON view of what it holds under
// /emulator/, and the same view as Go methods.
//
// It is written against Mixpanel's documented behaviour, not against mixsync's
// client: it shares no encoding code with the client, so that one cannot hide
// the other's mistakes. Where the documentation is silent, the choice made here
// is listed in README.md.
package emulator
