// Package client speaks to a management port: moongate's or stock OpenVPN's, over TCP, a unix socket,
// TLS or an in-process connection.
//
// # Replies and real-time notifications
//
// The daemon sends both on one stream. Lines starting with '>' are notifications and may stand anywhere, also
// between a command and its reply and inside a list; all other lines belong to the oldest command still
// waiting. How many lines a reply has is not written in the reply: it follows from the command (shape.go).
// A caller that gave up leaves its place in the queue behind, so that a late reply is never taken for the next one.
//
// # Goroutines
//
// One reader goroutine per connection, started by New and waited for by Close. Cmd and Block may be called from many
// goroutines; commands go out in call order.
//
// # Deadlines
//
// Dialing, the greeting, each write and each reply have one (Options). A port whose single place is taken
// accepts a connection and stays silent: that is ErrNoGreeting.
//
// Rule: docs/protocol.md#9-management-port.
package client
