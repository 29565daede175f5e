// Package releaseapproval deletes approvals that nobody needs any more.
//
// An approval that ended stays for Retention, so that people can look up who
// agreed to what; longer than that is what the audit log of the API server is for.
// One without an end counts from its creation, and as long as the rollout of its
// revision goes on it stays whatever its age. The controller of CommerceStack
// reads approvals and never writes them.
package releaseapproval
