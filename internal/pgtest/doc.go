// Package pgtest gives tests a real PostgreSQL database each.
//
// Each test binary starts one server of its own on first use, from a cluster
// that was initialised once on this machine, without fsync. A test's database
// is a copy of a template that holds the component's roles and migrations, so it
// costs tens of milliseconds. Nothing is skipped: a test without a server fails.
//
// A package that uses it says so in its TestMain, which stops the server and
// looks for leaked goroutines:
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
// The server also ends when the test binary is killed.
package pgtest
