// Package mgmttest tests both ends of the management interface.
//
// # A daemon to talk to
//
// [Daemon] is the real mgmt/server on a [Controller] that a test scripts: clients, the prompt and Lua scripts are tested
// against it, over a pipe, a unix socket or TCP. [Daemon.Do] takes one-line directives, so that a daemon's part can be
// written in a text file; see there for the list.
//
// # Dialogues
//
// A [Dialogue] is a session as text:
//
//	# The story: what this shows, and why.
//	! config hold
//	! attach
//	S: >INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info
//	C: pid
//	S: SUCCESS: pid=<pid>
//	! state CONNECTED SUCCESS
//	C2: quit
//	D: Signal SIGUSR1 management-disconnect
//
// C is a line a client sends and S one it gets, of seat 1 or of the seat with the number; '!' is a directive; D is a call
// of the Controller or an answer the daemon got. Times, process ids, products and ports are masked on both sides. A
// dialogue is played by performing its C and '!' lines one after the other, each until nothing moves any more; what comes
// out must be the file. With -update the file is rewritten instead, and the difference is for the reviewer.
package mgmttest
