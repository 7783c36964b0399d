package script

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/script/meta"
)

func newTypes(e *env.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use: "lua-types DIR", Short: "Write the types of what scripts see, for the Lua language server",
		Long:    "Write moongate.lua into a folder. Name the folder in workspace.library of the Lua language server: editors then complete and check scripts.",
		Example: "  moongate lua-types ~/.local/share/moongate/lua", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil { //nolint:gosec // for everyone to read
				return err
			}
			path := filepath.Join(args[0], "moongate.lua")
			if err := os.WriteFile(path, []byte(meta.Types), 0o644); err != nil { //nolint:gosec // for everyone to read
				return err
			}
			return e.WriteLines(path)
		},
	}
	env.Mark(env.NoDaemon, "yes", cmd)
	return cmd
}
