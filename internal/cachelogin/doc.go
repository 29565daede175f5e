// Package cachelogin holds the logins of the platform to Redis: what they may
// do, and how a password is changed while processes with the old one run.
//
// Two users alternate, as the roles of PostgreSQL do: the idle one gets a new
// password (Set), processes move over, the other one is closed when nobody is
// logged in as it (Retire). Each step can be repeated after a crash at any line.
//
// The rules of a user are written here once: Set applies them to a server that
// runs, Line is the same as a line of its file of users, which it reads when it starts.
package cachelogin
