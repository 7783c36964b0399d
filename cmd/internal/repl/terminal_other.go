//go:build !unix

package repl

import "os"

// redrawLine does nothing: there is no signal that makes liner redraw.
func redrawLine() {}

// openTerminal is nil: a prompt ends at the next Enter.
func openTerminal() *os.File { return nil }
