// Package mapping turns warehouse rows into Mixpanel records.
//
// A Spec says which column means what. Compile holds it against the live schema
// once and returns a Plan; Plan.Append then writes one row as one JSON record,
// without allocating. Records are a pure function of the row: no clock, no
// random, no map order goes into them, so a replay gives the same bytes.
//
// The package knows neither HTTP nor SQL. Identity rules live in mapping/identity,
// JSON appenders in mapping/appendjson.
package mapping
