// Package jet keeps what the nodes of a fleet remember in a stream of NATS JetStream, laid out as a key-value bucket: in a server
// within this process, or in a cluster outside. Builds with the tag nofleet leave all of it out.
//
// # What it promises
//
// Every write is a create or a compare-and-set, so a write that lands late or twice does no harm. How far the store is, and which
// keys it has, is read from the stream's leader, which counts only if it has heard of a majority within the shortest time in which another could be elected.
// Records come from a server that is as far. A node that is cut off says [fleet.ErrAway] instead of what it remembers. After a partition two servers answer
// as leaders for a moment: no result takes two answers for those of one leader, and a refusal counts only with its proof. No value has a time to live; only marks
// of deletions have.
//
// Changes come as copies of what the leader stores, without a consumer: an idle watch costs no message.
package jet
