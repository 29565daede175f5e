// Package postgres gives a component its own schema in PostgreSQL and nothing
// of anybody else's.
//
// Every component has a schema, a NOLOGIN role that owns what is in it, and a
// LOGIN role that may read and write rows but can neither change the tables nor
// reach another schema ([Bootstrap]). Tables are made by versioned migrations
// that run as the owner ([Migrate]). At run time the component holds a [DB],
// whose one pgx pool feeds Ent, River and hand-written SQL alike, and changes
// data in a [Tx]: domain rows, outbox rows and jobs commit together or not at
// all.
//
// Errors leave this package as faults where the cause is the database's
// condition and not the caller's request: see [Fault].
package postgres
