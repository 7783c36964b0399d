// Package history holds "state", "log" and "echo": what the daemon remembers, and with -f what comes next.
package history

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/table"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Options are the flags of the three commands.
type Options struct {
	name      string
	kind      string
	count     int // newest entries to show first; 0 with all: none
	all       bool
	follow    bool
	reconnect bool
}

// NewCmds returns the commands of this package.
func NewCmds(e *env.Env) []*cobra.Command {
	cmd := func(name, kind, short, example string, count int) *cobra.Command {
		o := Options{name: name, kind: kind}
		c := &cobra.Command{
			Use: name, Short: short,
			Long: short + ". With -f it goes on until interrupted; nothing is lost or doubled in between. With --reconnect it goes on when the daemon\n" +
				"is back, and says on standard error when its history does not reach back to the last entry shown.",
			Example: example, Args: cobra.NoArgs, Annotations: map[string]string{env.Formats: "json,raw"},
			RunE: func(cmd *cobra.Command, _ []string) error {
				if o.count < 0 {
					return env.Usagef("-n must not be negative")
				}
				if o.reconnect && !o.follow {
					return env.Usagef("--reconnect goes with -f")
				}
				err := run(cmd.Context(), e, o)
				if o.follow {
					return env.UntilInterrupted(err)
				}
				return err
			},
		}
		c.Flags().IntVarP(&o.count, "lines", "n", count, "how many of the newest entries to show")
		c.Flags().BoolVar(&o.all, "all", false, "show the whole history")
		c.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on with new entries")
		c.Flags().BoolVar(&o.reconnect, "reconnect", false, "with -f: dial again when the daemon is lost")
		return c
	}
	return []*cobra.Command{
		cmd("state", mgmt.KindState, "Show the daemon's state", "  moongate state\n  moongate state -f --json\n  moongate state --all", 1),
		cmd("log", mgmt.KindLog, "Show the daemon's log", "  moongate log -n 50\n  moongate log -f --reconnect", 20),
		cmd("echo", mgmt.KindEcho, "Show the echo directives the daemon got", "  moongate echo --all", 20),
	}
}

func run(ctx context.Context, e *env.Env, o Options) error {
	if !o.all && o.count == 0 && !o.follow {
		return nil
	}
	last := ""
	return e.Follow(ctx, o.reconnect, func(ctx context.Context, c *client.Client, again bool) error {
		return session(ctx, e, c, o, again, &last)
	})
}

// session shows the history and what follows on one session. last is the newest entry shown, also across sessions.
func session(ctx context.Context, e *env.Env, c *client.Client, o Options, again bool, last *string) error {
	show := func(l string) error {
		*last = l
		return write(e, o, l)
	}
	sub := c.Subscribe(o.kind)
	defer sub.Close()
	lines, err := ask(ctx, c, o, again)
	if err != nil {
		return err
	}
	if again {
		if at := slices.Index(lines, *last); at >= 0 {
			lines = lines[at+1:]
		} else if *last != "" {
			fmt.Fprintln(e.Err, "moongate: reconnected; entries in between may be missing")
		}
	}
	for _, l := range lines {
		if err := show(l); err != nil {
			return err
		}
	}
	for o.follow {
		n, err := sub.Next(ctx)
		if err != nil {
			return err
		}
		if err := show(n.Text); err != nil {
			return err
		}
	}
	return nil
}

// own is how many lines of the log our attaching and asking cause at most.
const own = 4

// ask asks for the history, in one line with "on" so that nothing comes in between.
func ask(ctx context.Context, c *client.Client, o Options, again bool) ([]string, error) {
	cmd := o.name
	if o.follow {
		cmd += " on"
	}
	count := o.count
	switch {
	case o.all || again:
		cmd += " all"
	case count > 0 && o.kind == mgmt.KindLog:
		cmd += fmt.Sprint(" ", count+own)
	case count > 0:
		cmd += fmt.Sprint(" ", count)
	}
	r, err := c.Cmd(ctx, cmd)
	if err != nil {
		return nil, err
	}
	lines := r.Body()
	if o.kind == mgmt.KindLog {
		lines = withoutOwn(lines)
	}
	if !o.all && !again {
		lines = lines[max(0, len(lines)-count):]
	}
	return lines, nil
}

// withoutOwn drops the newest lines of a log when they tell of our attaching and of the command that asks.
func withoutOwn(lines []string) []string {
	for range own {
		if len(lines) == 0 {
			break
		}
		l, err := mgmt.ParseLog(lines[len(lines)-1])
		if err != nil || !strings.HasPrefix(l.Text, "MANAGEMENT: CMD 'log ") && !strings.HasPrefix(l.Text, "MANAGEMENT: Client connected from ") {
			break
		}
		lines = lines[:len(lines)-1]
	}
	return lines
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

// Entry reads an entry and returns its JSON value and its line for people.
func Entry(kind, line string) (v any, text string, err error) {
	switch kind {
	case mgmt.KindState:
		s, err := mgmt.ParseState(line)
		if err != nil {
			return nil, "", err
		}
		parts := []string{table.Local(s.Time), fmt.Sprintf("%-12s", s.Name)}
		for _, p := range []string{s.Detail, report.Address(s.TunIPv4), report.Address(s.TunIPv6), addrPort("remote ", s.Remote), addrPort("local ", s.Local)} {
			if p != "" {
				parts = append(parts, p)
			}
		}
		return report.State{Head: report.Head{Schema: report.StateSchema}, StateFields: report.StateOf(s)}, strings.TrimRight(strings.Join(parts, "  "), " "), nil
	case mgmt.KindLog:
		l, err := mgmt.ParseLog(line)
		if err != nil {
			return nil, "", err
		}
		return report.Log{Head: report.Head{Schema: report.LogSchema}, LogFields: report.LogFields{Time: report.Time(l.Time), Flags: l.Flags, Text: l.Text}},
			fmt.Sprintf("%s  %-1s  %s", table.Local(l.Time), l.Flags, l.Text), nil
	}
	x, err := mgmt.ParseEcho(line)
	if err != nil {
		return nil, "", err
	}
	return report.Echo{Head: report.Head{Schema: report.EchoSchema}, EchoFields: report.EchoFields{Time: report.Time(x.Time), Text: x.Text}},
		table.Local(x.Time) + "  " + x.Text, nil
}

func addrPort(what string, a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return what + a.String()
}
