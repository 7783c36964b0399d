// Package logging writes the log in the stock daemon's form and hands every line to its subscribers.
//
//	2026-11-23 04:36:49 MESSAGE                      verb up to 3
//	2026-11-23 04:36:49 us=669294 MESSAGE            verb 4 and more
//	2026-11-23 04:36:50 client1/192.0.2.2:5 MESSAGE  with a prefix
//	MESSAGE                                          suppress-timestamps, syslog
//	1795409852.215783 14000002 MESSAGE               machine-readable-output: seconds, flags in hex
//
// A [Logger] is a prefix and a pointer to the shared core: the output, verb, mute and subscribers. Loggers are cheap
// and safe for concurrent use. Engines log with [Logger.Msg], whose [Level] says from which verb a line shows; code that
// speaks log/slog gets [Logger.Slog].
//
// One mutex of the core orders lines, so output and subscribers see them in the same order. Subscribers are called with
// it held: they must neither block nor log.
package logging
