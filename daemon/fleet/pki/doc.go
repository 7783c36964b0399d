// Package pki makes and reads the folder of a fleet's node: the fleet's authority, the node's certificate, the keys that all nodes share,
// and invitations for further nodes. None of it enters the fleet's store.
//
// Every node has the authority's key, so that any of them can admit a node in the place of a lost one. A folder is made whole or not at
// all: it is written beside its place and moved there.
package pki
