// Package host runs a script in a process of its own: a child of the same program, without privileges, bounded in memory.
//
//	parent                                   child (Enter)
//	  │ socket pair 1: a management session ───► script.Start
//	  │ socket pair 2: JSON lines
//	  │   spec ───────────────────────────────► compile, give up privileges, run the main chunk
//	  │ ◄──────────────────── log, print, status
//	  │ ◄────────────────────────────── ready
//	  │   begin, drain ───────────────────────►
//	  │ ◄─────────────────────────────── end
//
// The end of the second pair ends the child, whatever it does. A child that dies without a word is reported with its signal.
package host
