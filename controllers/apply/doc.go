// Package apply is the one way in which the operator writes objects: server-side
// apply under one field manager, and nothing at all when there is nothing to say.
//
// A Pass belongs to one visit of one owner. It remembers what was named, so that
// Prune can delete what no longer is. Between visits an Applier remembers, for
// each object, the hash of what was applied and a fingerprint of what the cluster
// had afterwards; as long as neither changes, no request is sent. A new
// process finds the hash in an annotation of the object, and sends nothing either
// where all that is wanted stands in it.
//
// A dry Pass sends dry-run applies only and lists what would change.
package apply
