// Package script holds "run", "test", "check" and "scripts".
package script

import (
	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/script"
)

// exit carries a script's own exit code.
type exit struct{ *script.ExitError }

// ExitCode is the one that the script asked for.
func (e exit) ExitCode() int { return e.Code }

// NewCmds returns the commands of this package.
func NewCmds(e *env.Env) []*cobra.Command {
	return []*cobra.Command{newRun(e), newCheck(e), newTest(e), newTypes(e)}
}
