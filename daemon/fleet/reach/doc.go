// Package reach has the packets of other machines find the clients of a node: by routes of the system, which a routing daemon tells
// others (Kernel), and by answering for the clients' addresses in a network (Neighbours).
//
// Both keep what they are told in the system until they are told otherwise or closed.
package reach

// Protocol is the number of the routing protocol of our routes: `ip route show proto 109`. The same number is their metric, so that they
// stand beside routes of others.
const Protocol = 109
