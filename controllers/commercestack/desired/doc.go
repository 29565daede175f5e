// Package desired says what a CommerceStack looks like in a cluster: pure
// functions from a spec and the names of what was generated for it to typed
// apply configurations. It reads no clock, no cluster and no randomness, so the
// same Input always gives the same objects, byte for byte.
//
// Who owns what:
//
//   - This package owns names, labels, owner references and the content of every
//     object that is no secret. It also says which keys each Secret must have
//     (SecretKeys), because the environment of a pod names them as files.
//   - The reconciler owns the Secrets: it makes their values, names them by their
//     content and hands the names in as Input.Secrets. It chooses when an object is
//     applied or deleted: what a function returns as nil or leaves out of a list
//     must not be in the cluster.
//   - A Deployment under a HorizontalPodAutoscaler never carries replicas. The
//     first value is a configuration of its own (InitialReplicas), applied once
//     under another field manager.
//   - Validate finds what a person must correct. The other functions may be called
//     with an Input that Validate refuses, but then what they return must not be
//     applied.
//
// The shape of pod templates is versioned by Input.RenderRevision: a change that
// would restart pods of stacks that exist goes behind a new revision, so that a
// new operator restarts nothing.
package desired
