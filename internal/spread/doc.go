// Package spread sends requests over several connections to each host, none of
// which is used for long.
//
// HTTP/2 carries every call to a host over one connection, and behind one
// address of a Service that connection leads to one pod for as long as it
// lives: pods that are added get nothing. Here each host has a few lanes, and
// each lane changes to a new connection after a while:
//
//	in use ── its time is over ─▶ one request tries a new connection, the others stay
//	   ▲                              │ an answer came: the lane moves over
//	   └──────────────────────────────┘ no connection: the old one stays in use
//
// Requests that run on the old connection end there; it is closed when it has
// none left, by the client, so that no request is lost to a closing peer.
//
// A peer can die without a word, and its address may lead to it for most of a
// minute. So a request takes the lane on which the fewest wait for an answer: on
// a dead one they pile up, and what comes after them goes elsewhere before
// anybody knows why. A lane whose connection failed is left alone for a second;
// then one request tries a new one, and goes over another lane when there is none.
package spread
