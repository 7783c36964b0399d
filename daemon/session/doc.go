// Package session is one peer's session, between the control channel and an engine: logins, data keys, agreed terms and
// timers. Both engines use it.
//
// Bytes, a time and verdicts go in; packets, events and the next deadline come out. There is no clock here, no goroutine, no
// script and no text for the log: an engine asks verifiers, waits, and turns events into log lines.
//
//	Input, Step, Next     as in package control, which a Session wraps
//	Event                 what happened: control's events, and those of logins and keys
//	Ask, Verdict, Defer   what verifiers say about a login
//	Refuse, Reject
//	Open                  the data channel, once the first key is active and the terms are known
//	Leave                 the end, after a pause for the last message
//
// # From a key message to a tunnel
//
// On a server each key message opens a login. When its key is active, the login decides what becomes of it:
//
//	KeyMessage ──► Ask ──► verdicts ──► Accepted ──┬─► Introduced ──► Admitted ──► engine: addresses, scripts ──► Open
//	                  Active (the key) ────────────┘                     (renewals: the key is in use, a new token is due)
//	                          └── Refused ─────────► TurnedAway ──► engine: AUTH_FAILED ──► Leave ──► Left
//
// The states of a login are drawn at loginState. A client's engine has no logins: its server's verdict comes as a text.
//
// # Without a control channel
//
// Traffic and Timers stand for themselves: static-key mode has no session, and uses them too.
package session
