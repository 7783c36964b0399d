// Package server is the engine of a multi-client server.
//
// One goroutine, the hub, owns the control plane of all clients: sessions, addresses, hooks' verdicts, timers. It
// never waits: TLS handshakes run in goroutines of their own, scripts, management decisions and Lua handlers run
// beside it and report back. The data plane runs on every core: one goroutine per link socket opens packets and
// writes them to the device or to another client, one reads the device and hands batches to sealing workers, each
// client always to the same worker so that its packets stay in order.
//
// Inbound is from the link into the device, outbound the other way.
package server
