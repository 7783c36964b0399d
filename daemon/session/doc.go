// Package session is one peer's session, between the control channel and an engine: logins, data keys, agreed terms and
// timers. Both engines use it.
//
// Bytes, a time and verdicts go in; packets, events and the next deadline come out. There is no clock here, no goroutine, no
// script and no text for the log: an engine asks verifiers, waits, and turns events into log lines.
package session
