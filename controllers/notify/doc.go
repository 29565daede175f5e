// Package notify tells people outside the cluster what became of a rollout: in a
// channel of Slack, by an incident of PagerDuty, or by JSON to an address.
//
// A Mailbox holds what one receiver was not told yet. It is stored together with
// the transition of the rollout that it speaks of, so a notice is neither lost nor
// made twice, and it is bounded, as are tries. A notice is taken out once it was
// delivered: an operator that dies in between delivers it once more.
//
// A Courier delivers in the background: nothing waits for a receiver.
package notify
