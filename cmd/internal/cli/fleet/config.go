package fleet

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/table"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// forAll is the name of the lines that every client gets.
const forAll = ""

// fileMost is more than a node takes.
const fileMost = 1 << 20

const whereLong = "It is told to this machine's node, to another one if that does not answer, or to that of -a; exit code 3 says that other nodes do not\n" +
	"have it yet, and get it when they are back."

func ccdCmd(e *env.Env) *cobra.Command {
	names := complete(e, cobra.ShellCompDirectiveNoFileComp, fileNames)
	put := &cobra.Command{
		Use: "put NAME [FILE]", Short: "Give all nodes the file of a client",
		Long: "Give all nodes the file of a client, in the place of the one that they have. NAME is a common name, or DEFAULT for clients without a\n" +
			"file. Without FILE, or with -, it is read from standard input. A wrong line is refused with its number and the reason, and\n" +
			"nothing changes. The file counts for the next login.\n\n" + whereLong,
		Example: "  moongate fleet ccd put joe joe.conf\n  echo 'ifconfig-push 10.8.0.50 255.255.255.0' | moongate fleet ccd put joe",
		Args:    cobra.RangeArgs(1, 2), ValidArgsFunction: complete(e, cobra.ShellCompDirectiveDefault, fileNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := named(args[0])
			if err != nil {
				return err
			}
			return put(cmd.Context(), e, name, args[1:])
		},
	}
	get := &cobra.Command{
		Use: "get NAME", Short: "Print the file of a client", Long: "Print the file of a client as all nodes have it. The exit code is 6 when there is none.",
		Example: "  moongate fleet ccd get joe > joe.conf", Args: cobra.ExactArgs(1), ValidArgsFunction: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := named(args[0])
			if err != nil {
				return err
			}
			return get(cmd.Context(), e, name)
		},
	}
	rm := &cobra.Command{
		Use: "rm NAME", Short: "Take the file of a client away", Long: "Take the file of a client away at all nodes, for its next login.",
		Example: "  moongate fleet ccd rm joe", Args: cobra.ExactArgs(1), ValidArgsFunction: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := named(args[0])
			if err != nil {
				return err
			}
			return order(cmd.Context(), e, "fleet-ccd-rm", name)
		},
	}
	list := &cobra.Command{
		Use: "list", Short: "Print the names of the clients that have files", Long: "Print the names of the clients that have files, one a line.",
		Example: "  moongate fleet ccd list", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			doc, err := shared(cmd.Context(), e)
			if err != nil {
				return err
			}
			return e.WriteLines(fileNames(doc)...)
		},
	}
	return family("ccd", "Files of clients that all nodes have",
		"Files of clients that all nodes have: what a file of client-config-dir would hold. A node's own file of the client comes first.",
		"  moongate fleet ccd put joe joe.conf\n  moongate fleet ccd list", put, get, rm, list)
}

func configCmd(e *env.Env) *cobra.Command {
	set := &cobra.Command{
		Use: "set [FILE]", Short: "Give all nodes the lines that every client gets",
		Long: "Give all nodes the lines that every client gets before those of its own file, in the place of those that they have: routes to push, for\n" +
			"example. Without FILE, or with -, they are read from standard input. A wrong line is refused with its number and the reason, and\n" +
			"nothing changes.\n\n" + whereLong,
		Example: "  moongate fleet config set all.conf\n  echo 'push \"route 10.20.0.0 255.255.0.0\"' | moongate fleet config set",
		Args:    cobra.MaximumNArgs(1), RunE: func(cmd *cobra.Command, args []string) error { return put(cmd.Context(), e, forAll, args) },
	}
	get := &cobra.Command{
		Use: "get", Short: "Print the lines that every client gets", Long: "Print the lines that every client gets. The exit code is 6 when there are none.",
		Example: "  moongate fleet config get", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return get(cmd.Context(), e, forAll) },
	}
	rm := &cobra.Command{
		Use: "rm", Short: "Take the lines that every client gets away", Long: "Take the lines that every client gets away at all nodes.",
		Example: "  moongate fleet config rm", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error { return order(cmd.Context(), e, "fleet-ccd-rm") },
	}
	list := &cobra.Command{
		Use: "list", Short: "Show all that the nodes have in common: files, revocations, bans", Long: "Show all that the nodes have in common: files of clients, revoked certificates, and bans.",
		Example: "  moongate fleet config list\n  moongate fleet config list --json", Args: cobra.NoArgs, Annotations: map[string]string{env.Formats: "json"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			doc, err := shared(cmd.Context(), e)
			if err != nil {
				return err
			}
			if e.Format == "json" {
				return e.WriteJSON(doc)
			}
			return table.Write(e, []string{"KIND", "NAME", "WHAT", "BY"}, sharedRows(doc))
		},
	}
	return family("config", "Configuration that all nodes have",
		"Configuration that all nodes have: the lines that every client gets (set, get, rm), and a list of everything. Files of single clients are\nthose of moongate fleet ccd.",
		"  moongate fleet config set all.conf\n  moongate fleet config list", set, get, rm, list)
}

// named refuses what is no name of a client.
func named(name string) (string, error) {
	if name == "" {
		return "", env.Usagef("NAME is empty; moongate fleet config has the lines that every client gets")
	}
	return name, nil
}

// fileNames are the names of clients with files.
func fileNames(doc report.FleetConfig) (names []string) {
	for _, f := range doc.Files {
		if f.Name != forAll {
			names = append(names, f.Name)
		}
	}
	return names
}

func sharedRows(doc report.FleetConfig) (rows [][]string) {
	for _, f := range doc.Files {
		name := f.Name
		if name == forAll {
			name = "(every client)"
		}
		rows = append(rows, []string{"file", name, fmt.Sprintf("%d lines", strings.Count(f.Text, "\n")), f.By})
	}
	for _, r := range doc.Revocations {
		rows = append(rows, []string{"revoked", r.Serial, r.Reason, r.By})
	}
	for _, b := range doc.Bans {
		name := "user " + b.User
		if b.User == "" {
			name = "cn " + b.CommonName
		}
		rows = append(rows, []string{"ban", name, b.Reason, b.By})
	}
	return rows
}

// put writes a file for a name. Its lines are read before a node is asked.
func put(ctx context.Context, e *env.Env, name string, file []string) error {
	from, label := e.In, "standard input"
	if len(file) > 0 && file[0] != "-" {
		f, err := os.Open(file[0])
		if err != nil {
			return err
		}
		defer f.Close()
		from, label = f, file[0]
	}
	lines, err := readLines(from)
	if err != nil {
		return fmt.Errorf("%s: %w", label, err)
	}
	command := client.Line("fleet-ccd", name)
	if name == forAll {
		command = "fleet-ccd"
	}
	return anyNode(ctx, e, func(ctx context.Context, c *client.Client) error {
		r, err := c.Block(ctx, command, lines)
		if err != nil {
			return fmt.Errorf("%s: %w", label, err)
		}
		return outcome(e, r.Text(), nil)
	})
}

func readLines(r io.Reader) (lines []string, err error) {
	sc := bufio.NewScanner(io.LimitReader(r, fileMost))
	sc.Buffer(nil, fileMost)
	for sc.Scan() {
		line := strings.TrimSuffix(sc.Text(), "\r")
		if line == "END" {
			return nil, env.Usagef("line %d: END ends what the port reads, and cannot be a line", len(lines)+1)
		}
		lines = append(lines, line)
	}
	if err := sc.Err(); err != nil {
		return nil, err
	}
	if len(lines) == 0 {
		return nil, env.Usagef("there are no lines; rm takes a file away")
	}
	return lines, nil
}

// get prints the file of a name.
func get(ctx context.Context, e *env.Env, name string) error {
	doc, err := shared(ctx, e)
	if err != nil {
		return err
	}
	for _, f := range doc.Files {
		if f.Name == name {
			return e.WriteLines(strings.Split(strings.TrimSuffix(f.Text, "\n"), "\n")...)
		}
	}
	if name == forAll {
		return fmt.Errorf("%w: the fleet has no lines for every client", env.ErrCondition)
	}
	return fmt.Errorf("%w: the fleet has no file for %q", env.ErrCondition, name)
}
