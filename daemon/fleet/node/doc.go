// Package node runs a node of a fleet, from the folder that `moongate fleet init` or `join` made to a store: it listens for the talk of
// the other nodes, keeps the roster of members, and runs the engine that the roster asks for.
//
// A node alone runs an engine without a cluster. As soon as another node is active, it runs one of a cluster, with a fresh store: the
// nodes fill it again from what they know. The same happens on the way back.
//
//	alone ── another is active ──► cluster ── all others have left ──► alone
//
// The roster is independent of the engine. Each node tells every other what it knows, and of two entries the newer one counts, so a roster
// needs no majority, and an engine without a majority does not keep a lost node from being removed.
package node
