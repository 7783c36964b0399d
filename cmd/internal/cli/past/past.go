// Package past holds "history": what the journal of a daemon on this machine says about users and clients.
package past

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/table"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/journal/index"
)

// DefaultDir is where the packaged units keep the journal.
const DefaultDir = "/var/lib/moongate/journal"

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command {
	var f index.Filter
	var dir, since, until string
	var asCSV bool
	cmd := &cobra.Command{
		Use: "history", Short: "Show what happened on a daemon of this machine, from its journal",
		Long: "Show logins, connections, disconnections, hooks, reloads and commands from the journal of a daemon on this machine, oldest first.\n" +
			"The daemon need not run. A time is a duration before now, in days (90d) or as 36h or 15m, or a date, or RFC 3339.\n" +
			"Kinds: " + strings.Join(journal.Kinds, ", ") + ".",
		Example: "  moongate history --user alice --since 90d\n  moongate history --kind login --since 2026-11-01 --csv",
		Args:    cobra.NoArgs, Annotations: map[string]string{env.Formats: "json", env.NoDaemon: "yes"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.Kind != "" && !slices.Contains(journal.Kinds, f.Kind) {
				return env.Usagef("--kind %s: want one of %s", f.Kind, strings.Join(journal.Kinds, ", "))
			}
			var err error
			if f.Since, err = moment(since, time.Now()); err != nil {
				return env.Usagef("--since %v", err)
			}
			if f.Until, err = moment(until, time.Now()); err != nil {
				return env.Usagef("--until %v", err)
			}
			if asCSV && e.Format == "json" {
				return env.Usagef("--csv and --json exclude each other")
			}
			events, err := index.Query(cmd.Context(), dir, f)
			if err != nil {
				return err
			}
			return show(e, events, asCSV)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&dir, "dir", DefaultDir, "directory of the journal")
	flags.StringVar(&f.User, "user", "", "only of this user name")
	flags.StringVar(&f.CN, "cn", "", "only of this common name")
	flags.StringVar(&f.Address, "address", "", "only from this address outside the tunnel")
	flags.StringVar(&f.Kind, "kind", "", "only of this kind")
	flags.StringVar(&since, "since", "", "only from this time on")
	flags.StringVar(&until, "until", "", "only before this time")
	flags.BoolVar(&asCSV, "csv", false, "print comma-separated values with a header")
	return cmd
}

// moment reads a time, "" for none.
func moment(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q: want a duration such as 90d or 36h, a date, or RFC 3339", s)
}

func show(e *env.Env, events []journal.Event, asCSV bool) error {
	if e.Format == "json" {
		for _, ev := range events {
			if err := e.WriteJSON(report.History{Head: report.Head{Schema: report.HistorySchema}, Event: ev}); err != nil {
				return err
			}
		}
		return nil
	}
	if asCSV {
		return writeCSV(e, events)
	}
	rows := make([][]string, 0, len(events))
	for _, ev := range events {
		rows = append(rows, []string{ev.Time.Local().Format(time.DateTime), ev.Kind, ev.User, ev.CN, ev.Address, detail(&ev)})
	}
	return table.Write(e, []string{"TIME", "KIND", "USER", "COMMON NAME", "ADDRESS", "DETAIL"}, rows)
}

// detail is what is particular to a kind.
func detail(ev *journal.Event) string {
	var words []string
	add := func(s string) {
		if s != "" {
			words = append(words, s)
		}
	}
	add(ev.Who)
	add(ev.Text)
	add(ev.Verdict)
	add(ev.Reason)
	add(strings.Join(ev.Tunnel, " "))
	if ev.Kind == journal.KindDisconnect {
		add(fmt.Sprintf("after %s, %d bytes in, %d out", time.Duration(ev.Seconds*float64(time.Second)).Round(time.Second), ev.In, ev.Out))
	}
	return strings.Join(words, " ")
}

func writeCSV(e *env.Env, events []journal.Event) error {
	w := csv.NewWriter(e.Out)
	rows := [][]string{{"time", "kind", "run", "cid", "user", "cn", "address", "port", "tunnel", "verdict", "reason", "in", "out", "seconds", "who", "text"}}
	for _, ev := range events {
		cid := ""
		if ev.CID != nil {
			cid = strconv.FormatUint(*ev.CID, 10)
		}
		rows = append(rows, []string{
			ev.Time.Format(time.RFC3339Nano), ev.Kind, strconv.FormatInt(ev.Run, 10), cid, ev.User, ev.CN, ev.Address, strconv.Itoa(int(ev.Port)),
			strings.Join(ev.Tunnel, " "), ev.Verdict, ev.Reason, strconv.FormatUint(ev.In, 10), strconv.FormatUint(ev.Out, 10),
			strconv.FormatFloat(ev.Seconds, 'f', -1, 64), ev.Who, ev.Text,
		})
	}
	return w.WriteAll(rows)
}
