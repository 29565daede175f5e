// Package saleevent prepares stacks for sales.
//
// Everything that is decided is in Plan and Overlay, which are pure: events and a
// time in, what changes of the stack out. The controller of CommerceStack lays
// the overlay over the spec whenever it renders a component, and never over the
// spec that is stored or that makes a revision: a sale is no rollout. The
// reconciler of this package only tells in the status of an event how far it is.
package saleevent
