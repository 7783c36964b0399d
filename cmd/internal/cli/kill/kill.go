// Package kill holds "kill": it disconnects clients of a server.
package kill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/clients"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Options are the flags.
type Options struct {
	by     string
	users  []string
	reason string
	dryRun bool
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command {
	var o Options
	cmd := &cobra.Command{
		Use: "kill [CLIENT…]", Short: "Disconnect clients of a server",
		Long: "Disconnect clients of a server and print who was hit. CLIENT is a common name, a CID, a real or virtual address, with or without\n" +
			"its port, or a pattern of names or addresses in quotes. A client may connect again at once.\n\n" +
			"With --reason the client is told: it gets RESTART with the text and is disconnected 5 seconds later. When nobody fits a pattern\n" +
			"the exit code is 6; a plain name or address goes to the daemon, whose answer counts. --user takes the names that clients logged in\n" +
			"with. On several targets (moongate -a fleet kill --user NAME) one hit on any of them is enough.",
		Example: "  moongate kill laptop-joe\n  moongate kill 'lab-*' --dry-run\n  moongate kill 192.0.2.7:51820 --reason 'maintenance at 18:00'\n  moongate -a fleet kill --user joe",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args)+len(o.users) == 0 { // both say whom
				return errors.New("kill needs a CLIENT or --user")
			}
			return nil
		},
		Annotations: map[string]string{env.Formats: "json", env.AnyTarget: "yes"},
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return clients.Complete(cmd.Context(), e), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch o.by {
			case clients.ByAny, clients.ByUser, clients.ByName, clients.ByCID, clients.ByAddress:
			default:
				return env.Usagef("--by %q: want name, user, cid, address or any", o.by)
			}
			if strings.ContainsAny(o.reason, "\r\n") {
				return env.Usagef("--reason must be one line")
			}
			return e.With(cmd.Context(), func(ctx context.Context, c *client.Client) error { return run(ctx, e, c, o, args) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.by, "by", clients.ByAny, "what CLIENT is: name, user, cid, address or any")
	f.StringArrayVar(&o.users, "user", nil, "clients that logged in as `NAME`, or a pattern (repeatable)")
	f.StringVar(&o.reason, "reason", "", "`TEXT` for the clients")
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "only print who would be hit")
	_ = cmd.RegisterFlagCompletionFunc("by", cobra.FixedCompletions([]string{clients.ByName, clients.ByUser, clients.ByCID, clients.ByAddress, clients.ByAny}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func run(ctx context.Context, e *env.Env, c *client.Client, o Options, args []string) error {
	s, err := c.Status(ctx)
	if err != nil {
		return err
	}
	if !s.Server && len(args) == 0 {
		return notHere(nil)
	}
	if !s.Server {
		_, err := c.Do(ctx, "kill", args[0]) // its own words for what it cannot do
		return errors.Join(err, notHere(err))
	}
	var hit []client.StatusClient
	seen := make(map[string]bool)
	type ask struct{ what, by string }
	var asks []ask
	for _, a := range args {
		asks = append(asks, ask{a, o.by})
	}
	for _, u := range o.users {
		asks = append(asks, ask{u, clients.ByUser})
	}
	for _, ask := range asks {
		a := ask.what
		found, err := clients.Match(s.Clients, a, ask.by)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			if strings.ContainsAny(a, "*?[") || o.dryRun || ask.by != clients.ByAny {
				return fmt.Errorf("%w: no client fits %q", env.ErrCondition, a)
			}
			if _, err := c.Do(ctx, "kill", a); err != nil { // a client that is still connecting is in no list
				return err
			}
		}
		for _, f := range found {
			if !seen[f.ClientID+"\x00"+f.RealAddress] {
				seen[f.ClientID+"\x00"+f.RealAddress] = true
				hit = append(hit, f)
			}
		}
	}
	var done []client.StatusClient
	for _, h := range hit {
		if !o.dryRun {
			if err = One(ctx, c, h, o.reason); err != nil {
				break
			}
		}
		done = append(done, h)
	}
	if perr := show(e, done, o.dryRun); perr != nil {
		return perr
	}
	return err
}

// notHere is the condition when a daemon that is no server took the command nevertheless.
func notHere(err error) error {
	if err != nil {
		return nil
	}
	return fmt.Errorf("%w: this daemon is not a server", env.ErrCondition)
}

// One disconnects one client: by its address as the daemon writes it, or with a reason by its CID.
func One(ctx context.Context, c *client.Client, h client.StatusClient, reason string) error {
	if reason != "" {
		_, err := c.Do(ctx, "client-kill", h.ClientID, "RESTART,"+reason)
		return err
	}
	_, err := c.Do(ctx, "kill", h.RealAddress)
	var refused *client.ReplyError
	if errors.As(err, &refused) && env.Code(err) == env.CodeDaemon && h.ClientID != "" { // an address of a form this daemon's kill does not read
		_, err = c.Do(ctx, "client-kill", h.ClientID)
	}
	return err
}

func show(e *env.Env, hit []client.StatusClient, dry bool) error {
	if e.Format == "json" {
		return e.WriteJSON(report.Kill{Head: report.Head{Schema: report.KillSchema}, DryRun: dry, Clients: report.ClientsOf(hit)})
	}
	if len(hit) == 0 {
		return nil
	}
	text, err := clients.Table(hit, []string{"cid", "name", "real", "virtual", "user"}, e.Width)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(e.Out, text); err != nil {
		return err
	}
	did := "disconnected"
	if dry {
		did = "would be disconnected (--dry-run)"
	}
	return e.WriteLines(fmt.Sprintf("%d %s", len(hit), did))
}
