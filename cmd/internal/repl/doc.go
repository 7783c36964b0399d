// Package repl is the prompt on a management port.
//
// # One grammar
//
// A line is a command of the shell's tree if its words fit one (Shell.Fit), else a management line; \raw turns that round. So
// "state" prints a table and "state on" goes to the port. Commands run on the prompt's session: stock daemons have one seat.
//
// # A prompt that stays
//
// One goroutine (link) follows the session. When it is lost, the open prompt is ended with its line kept (input.take), shown again as
// "not connected>", and the daemon is dialed until it is back; what was switched on is switched on again.
//
// # Who writes to the terminal
//
// Only Terminal.Print, and liner while a prompt is open. Print clears the prompt's line, writes whole lines, and makes liner draw the
// prompt again by sending the process a SIGWINCH, which liner answers by a redraw of prompt, line and cursor. A hidden
// prompt is not redrawn by liner; there Print writes the prompt's text again. Notifications are collected and written at most every
// flushEvery, so that a flood does not end completion and search all the time.
//
// # Secrets
//
// A line that carries one is never put into the history, in memory or in the file. When the daemon asks for a password the
// prompt asks for it without showing it: at once between two commands, else at the next empty line, so that a half-typed line is never lost.
package repl
