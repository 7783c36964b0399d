// Package peercred tells which process is at the other end of a unix socket.
package peercred

// Peer is a process as it was when it connected.
type Peer struct{ PID, UID, GID int }
