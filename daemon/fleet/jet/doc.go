// Package jet keeps what the nodes of a fleet remember in a stream of NATS JetStream, laid out as a key-value bucket: in a server
// within this process, or in a cluster outside. Builds with the tag nofleet leave all of it out.
//
// # What it promises
//
// Every write is a create or a compare-and-set, so a write that lands late or twice does no harm. Reads are answered by the stream's
// leader, and count only if the leader has heard of a majority within the shortest time in which another could be elected. A node that
// is cut off says [fleet.ErrAway] instead of what it remembers. No value has a time to live; only marks of deletions have.
//
// Changes come as copies of what the leader stores, without a consumer: an idle watch costs no message.
package jet
