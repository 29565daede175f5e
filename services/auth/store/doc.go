// Package store keeps the auth component's data in its PostgreSQL schema. It
// is the only importer of the component's Ent graph.
package store
