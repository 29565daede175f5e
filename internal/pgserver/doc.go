// Package pgserver runs a local PostgreSQL server as a child of this process,
// for development and tests: `commerce up` needs nothing but the server's
// binaries.
//
// The data folder holds the cluster, the superuser's password and the kept
// port. It survives restarts and crashes; one process at a time holds its lock.
// The server listens on the loopback interface only and asks every connection
// for a password. It ends with its parent, also when the parent is killed.
package pgserver
