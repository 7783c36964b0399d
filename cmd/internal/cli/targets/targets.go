// Package targets holds "targets": the daemons that -a knows by name.
package targets

import (
	"context"
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/table"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/target"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/secret"
)

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command {
	local := map[string]string{env.Formats: "json", env.NoDaemon: "yes"}
	list := &cobra.Command{
		Use: "targets", Short: "List, add, remove and test the daemons that -a knows by name",
		Long: "List the daemons that -a knows by name: those of the user's file, of /etc/moongate/targets.toml, and the sockets in " + target.RunDir + ",\n" +
			"NAME.sock each. A file has a table for each name:\n\n" +
			"  [targets.office]\n  address = \"tls://vpn.example.com:7505\"\n  password = \"file:/etc/moongate/office.pw\"\n  ca = \"/etc/moongate/ca.crt\"",
		Example: "  moongate targets\n  moongate targets add office /run/office.sock\n  moongate targets test\n  moongate -a 'office*' status",
		Args:    cobra.NoArgs, Annotations: local,
		RunE: func(*cobra.Command, []string) error {
			all, err := target.New(e.Getenv).All()
			if err != nil {
				return err
			}
			return show(e, all, nil)
		},
	}
	names := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return target.New(e.Getenv).Names(), cobra.ShellCompDirectiveNoFileComp
	}
	var t target.Target
	add := &cobra.Command{
		Use: "add NAME ADDRESS", Short: "Add a name to the user's file",
		Long: "Add a name to the user's file of targets, which keeps its comments. The global flags --password, --ca, --cert and --key are kept with it,\n" +
			"paths as absolute ones.",
		Example: "  moongate targets add office /run/office.sock\n  moongate targets add cloud tls://vpn.example.com:7505 --ca ca.crt --password pass:vpn/cloud",
		Args:    cobra.ExactArgs(2), Annotations: map[string]string{env.NoDaemon: "yes"},
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := userFile(e)
			if err != nil {
				return err
			}
			if e.Password != "" {
				if err := secret.Check(e.Password); err != nil {
					return env.Usagef("--password: %v", err)
				}
			}
			t.Name, t.Address, t.Password, t.CA, t.Cert, t.Key = args[0], args[1], e.Password, e.CA, e.Cert, e.Key
			if err := target.Add(path, t); err != nil {
				return env.Usagef("%v", err)
			}
			return e.WriteLines(path)
		},
	}
	remove := &cobra.Command{
		Use: "remove NAME", Aliases: []string{"rm"}, Short: "Remove a name from the user's file",
		Long:    "Remove a name from the user's file of targets, which keeps its comments.",
		Example: "  moongate targets remove office", Args: cobra.ExactArgs(1), Annotations: map[string]string{env.NoDaemon: "yes"},
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := userFile(e)
			if err != nil {
				return err
			}
			if err := target.Remove(path, args[0]); err != nil {
				return env.Usagef("%v", err)
			}
			return e.WriteLines(path)
		},
		ValidArgsFunction: names,
	}
	test := &cobra.Command{
		Use: "test [NAME…]", Short: "Reach each target and show its state",
		Long:    "Reach each target, all without a NAME, and show its state or why it was not reached. The exit code is the highest of theirs.",
		Example: "  moongate targets test\n  moongate targets test 'office*' --json", Annotations: local,
		RunE:              func(cmd *cobra.Command, args []string) error { return runTest(cmd.Context(), e, args) },
		ValidArgsFunction: names,
	}
	list.AddCommand(add, remove, test)
	return list
}

// userFile is the file that add and remove change.
func userFile(e *env.Env) (string, error) {
	path := target.UserFile(e.Getenv)
	if path == "" {
		return "", env.Usagef("no home folder: set HOME or XDG_CONFIG_HOME")
	}
	return path, nil
}

// result is the finding of a test of a target.
type result struct {
	state string
	err   error
}

func runTest(ctx context.Context, e *env.Env, words []string) error {
	book := target.New(e.Getenv)
	var all []target.Target
	var err error
	if len(words) > 0 {
		all, err = book.Resolve(words)
	} else {
		all, err = book.All()
	}
	if err != nil {
		return env.Usagef("%v", err)
	}
	results := make([]result, len(all))
	var wait sync.WaitGroup
	for i, t := range all {
		wait.Go(func() {
			one := &env.Env{Getenv: e.Getenv, NoAsk: true, Timeout: e.Timeout}
			one.SetTarget(t)
			results[i].err = one.With(ctx, func(ctx context.Context, c *client.Client) error {
				s, err := c.State(ctx)
				results[i].state = s.Name
				return err
			})
		})
	}
	wait.Wait()
	if err := show(e, all, results); err != nil {
		return err
	}
	var worst error
	for i, r := range results {
		if env.Code(r.err) > env.Code(worst) {
			worst = fmt.Errorf("%s: %w", all[i].Name, r.err)
		}
	}
	return worst
}

func show(e *env.Env, all []target.Target, results []result) error {
	var rows [][]string
	doc := report.Targets{Head: report.Head{Schema: report.TargetsSchema}, Targets: []report.Target{}}
	head := []string{"NAME", "ADDRESS", "FROM"}
	if results != nil {
		head = []string{"NAME", "ADDRESS", "STATE"}
	}
	for i, t := range all {
		r := report.Target{Name: t.Name, Address: t.Address, Source: t.Source}
		third := t.Source
		if results != nil {
			third = results[i].state
			r.State = &results[i].state
			if err := results[i].err; err != nil {
				third, r.Error = err.Error(), err.Error()
			}
		}
		doc.Targets = append(doc.Targets, r)
		rows = append(rows, []string{t.Name, t.Address, table.Or(third)})
	}
	if e.Format == "json" {
		return e.WriteJSON(doc)
	}
	return table.Write(e, head, rows)
}
