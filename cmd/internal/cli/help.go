package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/table"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/nearest"
)

// unknownCommand is the usage error for a word that is no command below c, with the nearest names.
func unknownCommand(c *cobra.Command, word string) error {
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(word); len(near) > 0 {
		return env.Usagef("unknown command %q; did you mean %s?", word, strings.Join(near, " or "))
	}
	return env.Usagef("unknown command %q; %s --help lists them", word, c.CommandPath())
}

// flagError makes a wrong flag a usage error, an unknown one with the nearest name.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
		if near := nearestFlag(c, unknown.GetSpecifiedName()); near != "" {
			return env.Usagef("%v; did you mean --%s?", err, near)
		}
	}
	return env.Usagef("%v", plainFlagError(err))
}

// plainFlagError drops what the parsers of the standard library put between our words and the user's.
func plainFlagError(err error) string {
	s := err.Error()
	for _, cut := range []string{"strconv.ParseInt: ", "strconv.ParseFloat: ", "strconv.ParseBool: ", "strconv.ParseUint: ", "time: "} {
		s = strings.ReplaceAll(s, cut, "")
	}
	if i := strings.Index(s, `: parsing "`); i >= 0 {
		s = s[:i] + ": not a number"
	}
	return s
}

// nearestFlag is the flag of c whose name differs by at most two edits from name, "" when there is none.
func nearestFlag(c *cobra.Command, name string) string {
	var names []string
	look := func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	}
	c.Flags().VisitAll(look)
	c.InheritedFlags().VisitAll(look)
	return nearest.Name(name, names, 2)
}

// helpPages replaces cobra's help: a page that is asked for and does not exist is a usage error, not the page of the root.
// wrong gets that error, because cobra's help functions return none. Pages are made for a terminal of so many columns, 0 for none.
func helpPages(root *cobra.Command, width int, wrong *error) {
	page := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		if rest := c.Flags().Args(); c.HasSubCommands() && len(rest) > 0 {
			*wrong = unknownCommand(c, rest[0])
			return
		}
		out := root.OutOrStdout()
		var text strings.Builder
		root.SetOut(&text)
		page(c, args)
		root.SetOut(out)
		_, _ = io.WriteString(out, table.Flow(text.String(), width)) // an output that is gone ends the program elsewhere
	})
	root.SetHelpCommand(&cobra.Command{
		Use: "help [COMMAND]", Short: "Show the page of a command", Long: "Show what a command does, its flags and an example.", Example: "  moongate help wait",
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return names(c.Root()), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			at, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				if at == nil {
					at = c.Root()
				}
				return unknownCommand(at, append(rest, args...)[0])
			}
			return at.Help()
		},
	})
}

// names are the names of the commands below c that are shown.
func names(c *cobra.Command) []string {
	var all []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			all = append(all, sub.Name())
		}
	}
	return all
}

// printError prints a command's error to w, its lines behind prefix, and what to try.
func printError(w io.Writer, prefix string, err error) {
	for l := range strings.SplitSeq(client.InWords(err.Error()), "\n") {
		fmt.Fprintf(w, "%s%s\n", prefix, env.Clean(l))
	}
	if hint := env.Hint(err); hint != "" {
		fmt.Fprintf(w, "%shint: %s\n", prefix, hint)
	}
}
