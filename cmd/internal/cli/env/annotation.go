package env

import "github.com/spf13/cobra"

// Annotations of a command that the root reads before it runs.
const (
	Formats   = "formats" // what it prints besides tables: "json", "raw" or "json,raw"
	NoDaemon  = "local"   // it reaches no daemon
	OneTarget = "one"     // it takes one target only
	AnyTarget = "any"     // with several targets, a condition that holds on one of them holds
	Follows   = "follows" // it goes on until interrupted
)

// Mark sets annotations of commands: Mark(cmds, NoDaemon), or with Formats the formats.
func Mark(name, value string, cmds ...*cobra.Command) []*cobra.Command {
	for _, c := range cmds {
		if c.Annotations == nil {
			c.Annotations = make(map[string]string)
		}
		c.Annotations[name] = value
	}
	return cmds
}
