// Package simple holds the commands that send one management line and print its one-line answer.
package simple

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/table"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// command is a row of the table.
type command struct {
	use, short, long, example string
	min, max                  int
	words                     [][]string // completion by position
	check                     func(args []string) error
	strip                     string // prefix of the answer that a person need not see
}

func onOf(words ...string) func([]string) error {
	return func(args []string) error {
		if len(args) == 0 {
			return nil
		}
		for _, w := range words {
			if args[0] == w {
				return nil
			}
		}
		return env.Usagef("%q: want one of %s", args[0], strings.Join(words, ", "))
	}
}

// within wants a number from low to high.
func within(low, high int) func([]string) error {
	return func(args []string) error {
		if len(args) == 0 {
			return nil
		}
		n, err := strconv.Atoi(args[0])
		if err != nil || n < low || n > high {
			return env.Usagef("%q: want a number from %d to %d", args[0], low, high)
		}
		return nil
	}
}

// signalName spells a signal as the daemon does, SIG in front and upper case.
func signalName(s string) string {
	s = strings.ToUpper(s)
	if !strings.HasPrefix(s, "SIG") {
		s = "SIG" + s
	}
	return s
}

func aSignal(args []string) error {
	if args[0] = signalName(args[0]); !slices.Contains(mgmt.Signals(), args[0]) {
		return env.Usagef("signal %s: want one of %s", args[0], strings.Join(mgmt.Signals(), ", "))
	}
	return nil
}

// okOrCancel checks the second argument.
func okOrCancel(args []string) error { return onOf("ok", "cancel")(args[1:]) }

var (
	holdWords  = []string{"on", "off", "release"}
	retryWords = []string{mgmt.AuthRetryNone, mgmt.AuthRetryInteract, mgmt.AuthRetryNoInteract}
	commands   = []command{
		{use: "pid", short: "Print the daemon's process id", example: "  kill -USR2 $(moongate pid)", strip: "pid="},
		{use: "hold [on|off|release]", short: "Show or set the hold flag, or let a held daemon start",
			long:    "Without a word it prints whether the next start will hold (1) or not (0).",
			example: "  moongate hold release", max: 1, words: [][]string{holdWords}, check: onOf(holdWords...), strip: "hold="},
		{use: "signal NAME", short: "Make the daemon act as if it got a signal",
			long:    "NAME is SIGHUP (read the configuration again), SIGUSR1 (reconnect), SIGUSR2 (statistics to the log), SIGTERM or SIGINT (exit). Without SIG in front it works too.",
			example: "  moongate signal SIGUSR1\n  moongate signal term", min: 1, max: 1, words: [][]string{mgmt.Signals()}, check: aSignal},
		{use: "verb [N]", short: "Show or set the verbosity of the log, 0 to 15", example: "  moongate verb 4", max: 1, check: within(0, 15), strip: "verb="},
		{use: "mute [N]", short: "Show or set after how many equal messages the log falls silent", example: "  moongate mute 10", max: 1, check: within(0, 1<<30), strip: "mute="},
		{use: "auth-retry [none|interact|nointeract]", short: "Show or set what a failed authentication leads to",
			example: "  moongate auth-retry interact", max: 1, words: [][]string{retryWords}, check: onOf(retryWords...), strip: "auth-retry="},
		{use: "needok TYPE ok|cancel", short: "Answer a NEED-OK question", example: "  moongate needok token-insertion-request ok",
			min: 2, max: 2, words: [][]string{nil, {"ok", "cancel"}}, check: okOrCancel},
		{use: "needstr TYPE TEXT", short: "Answer a NEED-STR question", example: "  moongate needstr pkcs11-id-request ID", min: 2, max: 2},
		{use: "forget-passwords", short: "Make the daemon forget cached secrets", example: "  moongate forget-passwords"},
		{use: "load-stats", short: "Print the number of clients and the bytes in total", example: "  moongate load-stats"},
	}
)

// NewCmds returns the commands of this package.
func NewCmds(e *env.Env) []*cobra.Command {
	var all []*cobra.Command
	for _, c := range commands {
		all = append(all, &cobra.Command{
			Use: c.use, Short: c.short, Long: long(c), Example: c.example,
			Args: cobra.RangeArgs(c.min, c.max), Annotations: map[string]string{env.Formats: "json,raw"},
			ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
				if len(args) < len(c.words) {
					return c.words[len(args)], cobra.ShellCompDirectiveNoFileComp
				}
				return nil, cobra.ShellCompDirectiveNoFileComp
			},
			RunE: func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), e, c, args) },
		})
	}
	return all
}

func long(c command) string {
	if c.long == "" {
		return c.short + "."
	}
	return c.short + ".\n\n" + c.long
}

func run(ctx context.Context, e *env.Env, c command, args []string) error {
	if c.check != nil {
		if err := c.check(args); err != nil {
			return err
		}
	}
	name, _, _ := strings.Cut(c.use, " ")
	return e.With(ctx, func(ctx context.Context, cl *client.Client) error {
		r, err := cl.Cmd(ctx, client.Line(append([]string{name}, args...)...))
		if err != nil {
			return err
		}
		return Print(e, name, r, c.strip)
	})
}

// Print shows a one-line answer: for people without the prefix, raw as it came.
func Print(e *env.Env, name string, r client.Reply, strip string) error {
	text, shows := strings.CutPrefix(r.Text(), strip)
	switch e.Format {
	case "json":
		if v, ok := typed(name, text); ok && (shows && strip != "" || name == "load-stats") {
			return e.WriteJSON(v)
		}
		return e.WriteJSON(report.Reply{Head: report.Head{Schema: report.ReplySchema}, Command: name, Text: text})
	case "raw":
		return e.WriteLines(r.Raw...)
	}
	if name == "load-stats" {
		if s, err := client.ParseLoadStats(text); err == nil {
			text = fmt.Sprintf("%d clients  in %s  out %s", s.Clients, table.Bytes(s.BytesIn), table.Bytes(s.BytesOut))
		}
	}
	return e.WriteLines(text)
}

// typed is a value with a type of its own that a command shows.
func typed(name, text string) (v any, ok bool) {
	n, err := strconv.Atoi(text)
	set := report.Setting{Head: report.Head{Schema: report.SettingSchema}}
	switch name {
	case "pid":
		return report.PID{Head: report.Head{Schema: report.PIDSchema}, PID: n}, err == nil
	case "hold":
		on := n == 1
		set.Hold = &on
	case "verb":
		set.Verb = &n
	case "mute":
		set.Mute = &n
	case "auth-retry":
		set.AuthRetry, err = &text, nil
	case "load-stats":
		s, err := client.ParseLoadStats(text)
		return report.LoadStats{Head: report.Head{Schema: report.LoadStatsSchema}, Clients: s.Clients, Traffic: report.Traffic{BytesReceived: s.BytesIn, BytesSent: s.BytesOut}}, err == nil
	default:
		return nil, false
	}
	return set, err == nil
}
