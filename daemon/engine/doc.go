// Package engine holds what the daemon and its engines agree on: signals and the order of their ranks, why an instance
// ended, and what an engine is.
//
// # Life cycle
//
// The daemon reads the configuration, builds an engine and calls Run. The engine restarts by itself on SIGUSR1, real or
// soft (a ping timeout, a server's request); it returns for SIGHUP, SIGTERM and SIGINT. On SIGHUP the daemon reads
// the configuration again and builds the next engine.
//
//	start ──► Run ──► (USR1: instance down, pause or hold, instance up) ──► HUP ──► read again ──► Run …
//	                                                                   └─► TERM, INT ──► exit
//
// # Signals
//
// A [Signals] holds at most one pending signal, the one of the highest rank, raised by the operating system,
// the management port, or the engine itself. The engine takes it when it is ready to act; a caller that blocks meanwhile
// watches [Signals.Wake].
package engine
