package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
)

// elsewhere stops "on" before it starts: Run begins again with the arguments that it stands for.
type elsewhere struct{ args []string }

func (*elsewhere) Error() string { return "this command runs elsewhere" }

// onCmd is "on": a command on the targets that a pattern names.
func onCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "on PATTERN COMMAND [ARGUMENT…]", Short: "Run a command on the targets that a pattern names",
		Long: "Run a command on the targets that a pattern in quotes names: those of moongate targets and the nodes of the fleet. It is the same as\n" +
			"-a PATTERN, and reads well at the prompt, whose own connection stays as it is. fleet stands for all nodes of the fleet.",
		Example: "  moongate on 'edge*' status\n  moongate on fleet kill --user joe\n  moongate --json on fleet clients", Args: cobra.MinimumNArgs(2),
		Annotations: map[string]string{env.NoDaemon: "yes", env.Formats: "json,raw"},
		RunE: func(cmd *cobra.Command, args []string) error {
			var flags []string
			given := false
			cmd.Flags().Visit(func(f *pflag.Flag) {
				switch v := f.Value.(type) {
				case pflag.SliceValue:
					given = given || f.Name == "addr"
				default:
					flags = append(flags, "--"+f.Name+"="+v.String())
				}
			})
			if given {
				return env.Usagef("on names its targets itself: leave -a out")
			}
			return &elsewhere{append(append(flags, "--addr="+args[0]), args[1:]...)}
		},
	}
	cmd.Flags().SetInterspersed(false)
	return cmd
}
