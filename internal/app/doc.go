// Package app assembles the program: it opens what components need (PostgreSQL,
// Redis, object storage, keys, the event bus), builds the chosen components,
// connects them in process or over the network, and serves them.
//
// Two shapes run the same code:
//
//	commerce up                         every component in one process, with a gateway
//	commerce serve --components X,Y     these components; the others by their URLs
//
// Nothing else imports component modules, and no component imports this package.
package app
