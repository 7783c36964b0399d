// Package history holds "state", "log" and "echo": what the daemon remembers, and with -f what comes next.
package history

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Schemas of one JSON line (docs/json.md).
const (
	StateSchema = "moongate.state/1"
	LogSchema   = "moongate.log/1"
	EchoSchema  = "moongate.echo/1"
)

// Options are the flags of the three commands.
type Options struct {
	name   string
	kind   string
	count  int // newest entries to show first; 0 with all: none
	all    bool
	follow bool
}

// NewCmds returns the commands of this package.
func NewCmds(e *env.Env) []*cobra.Command {
	make := func(name, kind, short, example string, count int) *cobra.Command {
		o := Options{name: name, kind: kind}
		cmd := &cobra.Command{
			Use: name, Short: short, Long: short + ". With -f it goes on until interrupted; nothing is lost or doubled in between.",
			Example: example, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				if o.count < 0 {
					return env.Usagef("-n must not be negative")
				}
				err := run(cmd.Context(), e, o)
				if o.follow {
					return env.UntilInterrupted(err)
				}
				return err
			},
		}
		cmd.Flags().IntVarP(&o.count, "lines", "n", count, "how many of the newest entries to show")
		cmd.Flags().BoolVar(&o.all, "all", false, "show the whole history")
		cmd.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on with new entries")
		return cmd
	}
	return []*cobra.Command{
		make("state", mgmt.KindState, "Show the daemon's state", "  moongate state\n  moongate state -f --json\n  moongate state --all", 1),
		make("log", mgmt.KindLog, "Show the daemon's log", "  moongate log -n 50\n  moongate log -f", 20),
		make("echo", mgmt.KindEcho, "Show the echo directives the daemon got", "  moongate echo --all", 20),
	}
}

func run(ctx context.Context, e *env.Env, o Options) error {
	return e.With(ctx, func(ctx context.Context, c *client.Client) error {
		sub := c.Subscribe(o.kind)
		show := "all"
		if !o.all {
			show = fmt.Sprint(o.count)
		}
		cmd := o.name
		if o.follow {
			cmd += " on" // in one line with the count, so that nothing comes between
		}
		if o.all || o.count > 0 {
			cmd += " " + show
		}
		if cmd == o.name {
			return nil
		}
		r, err := c.Cmd(ctx, cmd)
		if err != nil {
			return err
		}
		for _, l := range r.Body() {
			if err := write(e, o, l); err != nil {
				return err
			}
		}
		for o.follow {
			n, err := sub.Next(ctx)
			if err != nil {
				return err
			}
			if err := write(e, o, n.Text); err != nil {
				return err
			}
		}
		return nil
	})
}

// write prints one entry.
func write(e *env.Env, o Options, line string) error {
	if e.Format == "raw" {
		return e.WriteLines(line)
	}
	v, text, err := Entry(o.kind, line)
	if err != nil {
		return err
	}
	if e.Format == "json" {
		return e.WriteJSON(v)
	}
	return e.WriteLines(text)
}

// State is a state in JSON.
type State struct {
	Schema     string `json:"schema"`
	Time       string `json:"time"`
	Name       string `json:"name"`
	Detail     string `json:"detail"`
	TunIPv4    string `json:"tun_ipv4"`
	TunIPv6    string `json:"tun_ipv6"`
	RemoteAddr string `json:"remote_addr"`
	RemotePort uint16 `json:"remote_port"`
	LocalAddr  string `json:"local_addr"`
	LocalPort  uint16 `json:"local_port"`
}

// Entry reads an entry and returns its JSON value and its line for people.
func Entry(kind, line string) (v any, text string, err error) {
	switch kind {
	case mgmt.KindState:
		s, err := mgmt.ParseState(line)
		if err != nil {
			return nil, "", err
		}
		parts := []string{stamp(s.Time), fmt.Sprintf("%-12s", s.Name)}
		for _, p := range []string{s.Detail, address(s.TunIPv4), address(s.TunIPv6), addrPort("remote ", s.Remote), addrPort("local ", s.Local)} {
			if p != "" {
				parts = append(parts, p)
			}
		}
		return State{StateSchema, env.Time(s.Time), s.Name, s.Detail, address(s.TunIPv4), address(s.TunIPv6),
			address(s.Remote.Addr()), s.Remote.Port(), address(s.Local.Addr()), s.Local.Port()}, strings.TrimRight(strings.Join(parts, "  "), " "), nil
	case mgmt.KindLog:
		l, err := mgmt.ParseLog(line)
		if err != nil {
			return nil, "", err
		}
		return struct {
			Schema string `json:"schema"`
			Time   string `json:"time"`
			Flags  string `json:"flags"`
			Text   string `json:"text"`
		}{LogSchema, env.Time(l.Time), l.Flags, l.Text}, fmt.Sprintf("%s  %-1s  %s", stamp(l.Time), l.Flags, l.Text), nil
	}
	x, err := mgmt.ParseEcho(line)
	if err != nil {
		return nil, "", err
	}
	return struct {
		Schema string `json:"schema"`
		Time   string `json:"time"`
		Text   string `json:"text"`
	}{EchoSchema, env.Time(x.Time), x.Text}, stamp(x.Time) + "  " + x.Text, nil
}

func stamp(t time.Time) string { return t.Local().Format(time.DateTime) }

func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func addrPort(what string, a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return what + a.String()
}
