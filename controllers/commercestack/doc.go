// Package commercestack brings a cluster to what a CommerceStack says.
//
// A visit runs the phases in order: delete, pause, preflight, certificates,
// vault, rotation, secrets, data, migrate, services, bootstrap, policy, expose,
// observability, prune, status. Each phase is a file with one entry; it reads the visit, names
// objects through the visit's apply.Pass, sets its conditions and returns a
// Result. No phase sleeps: what must be waited for is watched or asked for again.
// A phase that waits or fails does not stop those after it, unless they need what
// it makes.
//
// What a stack is born with is chosen once and kept in the status before anything
// is created: the shape of its pod templates and who runs PostgreSQL. What is
// generated for it is kept in the Secret S-vault by version, and replaced by
// rotations, whose states stand there too: package rotation decides, and this
// package carries out. A rotation and a rollout do not move pods together.
//
// A change of the image goes: migrations with the new image, then components
// wave by wave; a component whose turn has not come is rendered with the image it
// runs, so that its drift is repaired all the while.
package commercestack
