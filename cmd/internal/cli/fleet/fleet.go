// Package fleet holds "fleet": making a fleet of servers, looking at it, and taking nodes out of it.
package fleet

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/target"
	"github.com/moongate-vpn/moongate/daemon/fleet/pki"
)

const long = `Make a fleet of servers that act as one, look at it, and take nodes out of it. A node is a daemon with "fleet DIR" in its
configuration; DIR holds its certificate and the keys that all nodes share, and comes from init or join.

  first$   moongate fleet init --address 192.0.2.1      makes DIR and prints a command for the next node
  second$  moongate fleet join TOKEN                    makes DIR there, while the first node's daemon runs

DIR is ` + target.FleetDefault + ` unless MOONGATE_FLEET or an argument names another.`

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command {
	return family("fleet", "Make a fleet of servers, look at it, and change it", long,
		"  moongate fleet init --address 192.0.2.1\n  moongate fleet status\n  moongate -a fleet clients",
		initCmd(e), inviteCmd(e), joinCmd(e), statusCmd(e), drainCmd(e), leaveCmd(e),
		ccdCmd(e), configCmd(e), revokeCmd(e), unrevokeCmd(e), killCmd(e), banCmd(e), unbanCmd(e))
}

// family is a command that has only subcommands.
func family(use, short, long, example string, sub ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return env.Usagef("unknown command %q of %s", args[0], cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(sub...)
	return cmd
}

// dirOf is the folder that an argument names, or the usual one.
func dirOf(e *env.Env, args []string, at int) string {
	if len(args) > at {
		return args[at]
	}
	return target.FleetDir(e.Getenv)
}

// planFlags are the flags of a node to be.
func planFlags(cmd *cobra.Command, p *pki.Plan) {
	f := cmd.Flags()
	f.StringVar(&p.Name, "name", "", "the node's `NAME` (default the host's, up to its first dot)")
	f.StringVar(&p.Address, "address", "", "`HOST[:PORT]` at which the other nodes reach this one; the next port is used as well (default port 7510)")
	f.StringVar(&p.Listen, "listen", "", "listen at this `ADDRESS` only")
}

// nameOr completes a plan by the host's name.
func nameOr(p *pki.Plan) error {
	if p.Name != "" {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	p.Name, _, _ = strings.Cut(host, ".")
	if err := pki.CheckName(p.Name); err != nil {
		return env.Usagef("%v: give --name", err)
	}
	return nil
}

func initCmd(e *env.Env) *cobra.Command {
	var p pki.Plan
	var engine pki.Engine
	var good time.Duration
	cmd := &cobra.Command{
		Use: "init [DIR]", Short: "Make the folder of a fleet's first node",
		Long: "Make the folder of a fleet's first node: the fleet's authority, the node's certificate, and the keys of auth-gen-token and tls-crypt-v2\n" +
			"that all nodes share. It prints what the configuration needs, and the command that admits the next node: its token is a secret,\n" +
			"good once and for a time.\n\n" +
			"Each node has an engine of its own within the daemon. With --engine the nodes use a NATS cluster with JetStream that runs already.",
		Example: "  moongate fleet init --address 192.0.2.1\n  moongate fleet init --name edge1 --address vpn1.example.com:7600 /srv/fleet\n" +
			"  moongate fleet init --address 192.0.2.1 --engine tls://nats.example.com:4222 --credentials /etc/moongate/nats.creds",
		Args: cobra.MaximumNArgs(1), Annotations: map[string]string{env.Formats: "json"},
		RunE: func(_ *cobra.Command, args []string) error {
			if err := nameOr(&p); err != nil {
				return err
			}
			if p.Address == "" {
				var err error
				if p.Address, err = onlyAddress(); err != nil {
					return err
				}
			}
			if engine.URL != "" {
				p.Engine = &engine
			} else if engine != (pki.Engine{}) {
				return env.Usagef("--credentials and --engine-ca go with --engine")
			}
			n, err := pki.Init(dirOf(e, args, 0), p, time.Now())
			if err != nil {
				return err
			}
			return invite(e, n, good, true)
		},
	}
	planFlags(cmd, &p)
	cmd.Flags().StringVar(&engine.URL, "engine", "", "use the NATS cluster at `URL`")
	cmd.Flags().StringVar(&engine.Credentials, "credentials", "", "`FILE` of credentials for it, at the same place on each node")
	cmd.Flags().StringVar(&engine.CA, "engine-ca", "", "`FILE` of its authorities, at the same place on each node")
	cmd.Flags().DurationVar(&good, "for", time.Hour, "how long the token is good")
	return cmd
}

// onlyAddress is the host's address when there is no doubt about it.
func onlyAddress() (string, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	var found []string
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			found = append(found, n.IP.String())
		}
	}
	if len(found) != 1 {
		return "", env.Usagef("--address says at which address the other nodes reach this one; this host has %d: %s", len(found), strings.Join(found, ", "))
	}
	return found[0], nil
}

func inviteCmd(e *env.Env) *cobra.Command {
	var good time.Duration
	cmd := &cobra.Command{
		Use: "invite [DIR]", Short: "Print the command that admits one more node",
		Long:    "Print the command that admits one more node, while the daemon of this one runs. Its token is a secret, good once and for a time.",
		Example: "  moongate fleet invite\n  moongate fleet invite --for 24h", Args: cobra.MaximumNArgs(1), Annotations: map[string]string{env.Formats: "json"},
		RunE: func(_ *cobra.Command, args []string) error {
			n, err := pki.Load(dirOf(e, args, 0))
			if err != nil {
				return err
			}
			return invite(e, n, good, false)
		},
	}
	cmd.Flags().DurationVar(&good, "for", time.Hour, "how long the token is good")
	return cmd
}

// invite makes an invitation and prints it.
func invite(e *env.Env, n *pki.Node, good time.Duration, first bool) error {
	t, err := n.Invite(good, time.Now())
	if err != nil {
		return err
	}
	expires := time.Unix(t.Expires, 0)
	if e.Format == "json" {
		return e.WriteJSON(report.FleetInvite{
			Head: report.Head{Schema: report.InviteSchema}, Fleet: n.Fleet, Dir: n.Dir, Token: t.Format(), Expires: expires.UTC().Format(time.RFC3339),
		})
	}
	if first {
		err = e.WriteLines(
			fmt.Sprintf("node %s of a new fleet, at %s; its folder is %s", n.Name, n.Address, n.Dir), "",
			"put this into the configuration of its server, and start it:", "",
			"  fleet "+n.Dir, "")
	}
	return errors.Join(err, e.WriteLines(
		fmt.Sprintf("then admit one more node, once, until %s, with this at its machine:", expires.Format("2006-01-02 15:04:05")), "",
		"  moongate fleet join "+t.Format(), ""))
}

func joinCmd(e *env.Env) *cobra.Command {
	var p pki.Plan
	cmd := &cobra.Command{
		Use: "join TOKEN|- [DIR]", Short: "Make the folder of a further node",
		Long: "Ask the node that printed a token to admit this machine, and make its folder. Nothing else than that fleet is trusted. The token is a\n" +
			"secret until it is used: with - it is read from standard input, where other users of the machine cannot see it.",
		Example: "  moongate fleet join mgfleet1.eyJh…\n  moongate fleet join - --name edge2 < token", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			text := args[0]
			if text == "-" {
				var err error
				if text, err = firstLine(e); err != nil {
					return err
				}
			}
			t, err := pki.ParseToken(text)
			if err != nil {
				return env.Usagef("%v", err)
			}
			if err := nameOr(&p); err != nil {
				return err
			}
			n, err := pki.Join(cmd.Context(), dirOf(e, args, 1), t, p)
			if err != nil {
				return joinError(err)
			}
			return e.WriteLines(
				fmt.Sprintf("node %s of the fleet, at %s; its folder is %s", n.Name, n.Address, n.Dir), "",
				"put this into the configuration of its server, and start it:", "",
				"  fleet "+n.Dir)
		},
	}
	planFlags(cmd, &p)
	return cmd
}
