package engine

import "sync/atomic"

// Totals count since the process started, restarts included.
type Totals struct {
	In, Out atomic.Uint64 // bytes of all links
	// Handshakes are negotiations of keys, renewals included, that came to a key; Failed those that did not.
	Handshakes atomic.Uint64
	Failed     struct{ Timeout, Certificate, TLS, Other atomic.Uint64 }
	// Clients is how many clients a server has numbered. No number is given twice: an answer about a client that is gone is not to
	// be taken for one about another.
	Clients atomic.Uint64
}

// Census counts the holdings of an engine at a moment. The engine makes it anew each time; a zero Census is an engine that is not up.
type Census struct {
	Ready       bool // it serves clients, or is connected
	Clients     int  // that are connected
	Handshaking int  // that have not come so far
	MaxClients  int
	// Peers count connected clients by what they are.
	Versions, Platforms, Ciphers map[string]int
	Names                        map[string]Moved  // by common name, when asked for
	Dropped                      map[string]uint64 // data packets since the engine came up, by reason
	Queues                       map[string]int    // entries that wait, by queue
	Hooks, MostHooks             int               // that run, that may run at once
	LinesLeftOut                 uint64            // of the log, which peers caused
}

// Moved are bytes on the link.
type Moved struct{ In, Out uint64 }

// Counted is an engine that can be counted. names asks for Census.Names. It waits a moment at most.
type Counted interface {
	Census(names bool) Census
}
