package past

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/journal/index"
)

// newHistory returns "history".
func newHistory(e *env.Env) *cobra.Command {
	var f index.Filter
	var dir, kind, since, until string
	var asCSV bool
	cmd := &cobra.Command{
		Use: "history", Short: "Show what happened, from the journals of this machine or of the fleet",
		Long: "Show logins, connections, disconnections, hooks, reloads and commands from the journal of a daemon on this machine, oldest first.\n" +
			"The daemon need not run. -a fleet asks the nodes of the fleet for theirs, names the node of each event, and says which did not answer.\n" +
			"A time is a duration before now, in days (90d) or as 36h or 15m, or a date, or RFC 3339.\n" +
			"Kinds: " + strings.Join(journal.Kinds, ", ") + ".",
		Example: "  moongate history --user alice --since 90d\n  moongate history --kind login --since 2026-11-01 --csv\n  moongate -a fleet history --user alice",
		Args:    cobra.NoArgs, Annotations: map[string]string{env.Formats: "json", env.NoDaemon: "yes"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if kind != "" {
				if !slices.Contains(journal.Kinds, kind) {
					return env.Usagef("--kind %s: want one of %s", kind, strings.Join(journal.Kinds, ", "))
				}
				f.Kinds = []string{kind}
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
			l, err := open(e, cmd, dir)
			if err != nil {
				return err
			}
			events, err := gather(l, func(ev journal.Event) time.Time { return ev.Time }, func(b book) ([]journal.Event, error) {
				return b.query(cmd.Context(), f)
			})
			if err == nil {
				err = show(e, events, asCSV)
			}
			return cmp.Or(err, l.verdict(e))
		},
	}
	flags := cmd.Flags()
	dirFlag(cmd, &dir)
	flags.StringVar(&f.User, "user", "", "only of this user name")
	flags.StringVar(&f.CN, "cn", "", "only of this common name")
	flags.StringVar(&f.Address, "address", "", "only from this address outside the tunnel")
	flags.StringVar(&kind, "kind", "", "only of this kind")
	flags.StringVar(&since, "since", "", "only from this time on")
	flags.StringVar(&until, "until", "", "only before this time")
	flags.BoolVar(&asCSV, "csv", false, "print comma-separated values with a header")
	return cmd
}

func show(e *env.Env, events []of[journal.Event], asCSV bool) error {
	if e.Format == "json" {
		for _, ev := range events {
			if err := e.WriteJSON(report.History{Head: report.Head{Schema: report.HistorySchema}, Daemon: ev.daemon, Event: ev.it}); err != nil {
				return err
			}
		}
		return nil
	}
	if asCSV {
		return writeCSV(e, events)
	}
	head := []string{"TIME", "KIND", "USER", "COMMON NAME", "ADDRESS", "DETAIL"}
	return tabulate(e, head, 1, events, func(ev *journal.Event) []string {
		return []string{ev.Time.Local().Format(time.DateTime), ev.Kind, ev.User, ev.CN, ev.Address, detail(ev)}
	})
}

// detail joins the fields that only some kinds have.
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

func writeCSV(e *env.Env, events []of[journal.Event]) error {
	w := csv.NewWriter(e.Out)
	rows := [][]string{{"time", "kind", "run", "cid", "user", "cn", "address", "port", "tunnel", "verdict", "reason", "in", "out", "seconds", "who", "text", "daemon"}}
	for _, of := range events {
		ev := &of.it
		cid := ""
		if ev.CID != nil {
			cid = strconv.FormatUint(*ev.CID, 10)
		}
		rows = append(rows, []string{
			ev.Time.Format(time.RFC3339Nano), ev.Kind, strconv.FormatInt(ev.Run, 10), cid, ev.User, ev.CN, ev.Address, strconv.Itoa(int(ev.Port)),
			strings.Join(ev.Tunnel, " "), ev.Verdict, ev.Reason, strconv.FormatUint(ev.In, 10), strconv.FormatUint(ev.Out, 10),
			strconv.FormatFloat(ev.Seconds, 'f', -1, 64), ev.Who, ev.Text, of.daemon,
		})
	}
	return w.WriteAll(rows)
}
