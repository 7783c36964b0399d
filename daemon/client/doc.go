// Package client is the engine of clients and of TLS peers without a server mode: it connects, pulls its options,
// opens the tunnel, moves packets, renegotiates, restarts and gives up the way the stock daemon does, and says so with
// the same states and log lines.
//
// # Goroutines
//
//	Run ─┬─ owner: one attempt at a time. Control session, timers, push, prompts' answers, signals.
//	     ├─ inbound   link → device: receives a batch, copies control packets to the owner, opens data in place,
//	     │            writes the batch to the device
//	     ├─ outbound  device → link: reads a batch, seals it into one slab, sends it at once
//	     └─ helpers   one prompt, or one tunnel opening, changing or closing with its scripts, at a time
//
// The data plane reads the device, the link and the data channel through one atomic snapshot and never waits
// for the owner; the owner never touches a data packet.
//
// # An attempt
//
//	profile ─► [resolve] ─► [proxy] socket ─► WAIT ─► first packet: AUTH ─► TLS, key messages ─► [push request: GET_CONFIG]
//	  ─► push reply ─► device: ASSIGN_IP ─► routes: ADD_ROUTES ─► CONNECTED ─► … ─► RECONNECTING or EXITING
//
// A push update (update.go) while CONNECTED:
//
//	all parts there ─► its turn ─► [pushed list + update → options, or restart] ─► helper: addresses, routes, scripts
//	  ─► new options in force ─► CONNECTED again if addresses or routes changed
//
// Another network below the link (netchange.go), while CONNECTED over UDP to a server that gave a peer id: another socket
// and its reader, at once a ping from there; the session knows nothing of it. All else restarts.
package client
