// Package script runs Lua files against a management connection.
//
// # One owner
//
// A script's state, its handlers and timers belong to the goroutine that called Run. Events of a session reach it through one
// subscription, strictly one after another. Next to it run only the client's reader and a watchdog, both ended before Run returns.
//
// # Deadlines
//
// Each handler, timer call and the main chunk may take HandlerTimeout, replies it waits for included. The watchdog then cancels the
// state's context: Lua code ends with an error, commands return. A handler stuck in Go code is reported, since it
// cannot be ended.
//
// # What a script sees
//
// The table moongate and the modules of script/lib; the libraries of script/sandbox. Never the daemon: the same file runs attached
// to stock OpenVPN, to moongate, and inside the daemon over an in-process connection.
package script
