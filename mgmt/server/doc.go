// Package server is the daemon's side of the management interface: listeners, seats, histories, prompts and commands. It
// drives the daemon through a [Controller] and is told by the engines what happens.
//
// # Seats
//
// Any number of clients may be attached. Replies go to who asked. Each seat has its own subscriptions (state, log, echo,
// bytecount), environment filter and announced version; a new seat starts with the filter and version announced last, as
// if it were stock's one client come back. A prompt is shown to every seat and answered once: the first valid answer wins,
// and a seat that answers later is told so. The same holds for decisions about a server's clients.
//
// What stock does when its client leaves (management-signal, management-forget-disconnect) happens when the last seat
// that may answer leaves.
//
// # A daemon elsewhere
//
// Behind a [Relay] the daemon is at another port: commands go there as they are (relay.go), what it tells comes back through
// [Server.Forward] (forward.go). Roles, prompts, subscriptions and decisions are the same.
//
// # Nothing a seat does blocks the daemon
//
// Every method the engines call formats a line once, shares its bytes between the queues of the seats, and returns. A seat
// that does not read loses LOG and BYTECOUNT lines first, and is told how many once it reads again; when even the other
// notifications no longer fit, it is closed. Commands of a seat that has much output pending wait until it reads.
//
// # Locks
//
// One mutex of [Server] guards seats, histories and prompts; it is held for appending to queues and never while writing to
// a connection or calling the Controller, whose methods may therefore call back into the Server. They do so while a
// command runs, and what they notify then precedes the reply, as stock's kill does.
//
// # Goroutines
//
// Two per seat, reading and writing; the reader writes the replies to what it just read by itself when the writer has
// nothing to do, which saves a switch per command. Besides them, one for byte counts while a seat wants them; one per
// listener, the caller's. Serve and ServeConn return after theirs.
package server
