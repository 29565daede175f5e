// Package store keeps profiles and addresses in the user component's
// PostgreSQL schema, telephone numbers and addresses encrypted. It is the only
// importer of the component's Ent graph.
package store
