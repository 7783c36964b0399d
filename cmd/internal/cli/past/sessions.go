package past

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/journal/index"
)

// session is a session in the journal of a daemon.
type session = of[index.Session]

// sessions returns those of all journals, in the order of their beginning.
func (l *library) sessions(ctx context.Context, f index.SessionFilter) ([]session, error) {
	return gather(l, func(s index.Session) time.Time { return s.Since }, func(b book) ([]index.Session, error) {
		return index.SessionsBy(func(f index.Filter) ([]journal.Event, error) { return b.query(ctx, f) }, f)
	})
}

// newLast returns "last".
func newLast(e *env.Env) *cobra.Command {
	var dir, since string
	var most int
	cmd := &cobra.Command{
		Use: "last [USER|COMMON NAME]", Short: "Show the last sessions, newest first, as last(1) shows logins",
		Long: "Show when users and clients were connected, newest first, from the journals of the daemons on this machine, or with -a fleet of\n" +
			"the fleet's nodes. A session that a killed daemon left says \"lost\", with the daemon's next start as its end.",
		Example: "  moongate last\n  moongate last alice -n 5\n  moongate last --since 7d --json\n  moongate -a fleet last alice",
		Args:    cobra.MaximumNArgs(1), Annotations: map[string]string{env.Formats: "json", env.NoDaemon: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			if most < 1 {
				return env.Usagef("-n must be at least 1")
			}
			from, err := moment(since, time.Now())
			if err != nil {
				return env.Usagef("--since %v", err)
			}
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			l, err := open(e, cmd, dir)
			if err != nil {
				return err
			}
			all, err := l.last(cmd.Context(), name, from, most)
			if err == nil {
				slices.Reverse(all)
				err = showSessions(e, all[:min(most, len(all))])
			}
			return cmp.Or(err, l.verdict(e))
		},
	}
	dirFlag(cmd, &dir)
	cmd.Flags().IntVarP(&most, "lines", "n", 20, "how many sessions to show")
	cmd.Flags().StringVar(&since, "since", "", "only sessions that began since this time")
	return cmd
}

// last returns the last sessions, in the order of their beginning, of a user or common name, "" for all. It may return more than most.
func (l *library) last(ctx context.Context, name string, from time.Time, most int) (all []session, err error) {
	if name == "" {
		for _, from := range windows(from, time.Now()) {
			if all, err = l.sessions(ctx, index.SessionFilter{From: from, Began: true}); err != nil || len(all) >= most {
				break
			}
		}
		return all, err
	}
	for _, f := range []index.SessionFilter{{User: name, From: from, Began: true}, {CN: name, From: from, Began: true}} {
		list, err := l.sessions(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, s := range list {
			if f.User != "" || s.it.User != name { // else it is there as the user's
				all = append(all, s)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b session) int { return a.it.Since.Compare(b.it.Since) })
	return all, nil
}

// windows are times to look back to, one after the other until there are enough sessions: the last days are short, and all of a large
// journal is long.
func windows(from, now time.Time) (list []time.Time) {
	for days := 1; days <= 256; days *= 4 {
		if t := now.AddDate(0, 0, -days); t.After(from) {
			list = append(list, t)
		}
	}
	return append(list, from)
}

// newSessions returns "sessions".
func newSessions(e *env.Env) *cobra.Command {
	var f index.SessionFilter
	var dir, at, since, until, tunnel string
	cmd := &cobra.Command{
		Use: "sessions", Short: "Show who was connected at a time, with which address",
		Long: "Show the sessions that are open, or that were at a time or within one, from the journals of the daemons on this machine, or\n" +
			"with -a fleet of the fleet's nodes. It answers who had an address: --tunnel with --at. A time is written as for history.",
		Example: "  moongate sessions\n  moongate sessions --tunnel 10.8.0.5 --at '2026-11-02 14:03'\n  moongate sessions --user alice --since 7d --json",
		Args:    cobra.NoArgs, Annotations: map[string]string{env.Formats: "json", env.NoDaemon: "yes"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if at != "" && (since != "" || until != "") {
				return env.Usagef("--at excludes --since and --until")
			}
			moments := make(map[string]time.Time)
			for name, text := range map[string]string{"at": at, "since": since, "until": until} {
				var err error
				if moments[name], err = moment(text, time.Now()); err != nil {
					return env.Usagef("--%s %v", name, err)
				}
			}
			if tunnel != "" {
				var err error
				if f.Tunnel, err = netip.ParseAddr(tunnel); err != nil {
					return env.Usagef("--tunnel %s: want an address", tunnel)
				}
			}
			f.From, f.Before = moments["since"], moments["until"]
			if at != "" {
				f.From, f.Before = moments["at"], moments["at"].Add(time.Nanosecond)
			}
			now := at == "" && since == "" && until == ""
			if now {
				f.From = time.Now()
			}
			l, err := open(e, cmd, dir)
			if err != nil {
				return err
			}
			all, err := l.sessions(cmd.Context(), f)
			if err == nil {
				if now {
					all = slices.DeleteFunc(all, func(s session) bool { return s.it.State != index.SessionOpen })
				}
				err = showSessions(e, all)
			}
			return cmp.Or(err, l.verdict(e))
		},
	}
	dirFlag(cmd, &dir)
	flags := cmd.Flags()
	flags.StringVar(&f.User, "user", "", "only of this user name")
	flags.StringVar(&f.CN, "cn", "", "only of this common name")
	flags.StringVar(&f.Address, "address", "", "only from this address outside the tunnel")
	flags.StringVar(&tunnel, "tunnel", "", "only with this address in the tunnel, or a network it is in")
	flags.StringVar(&at, "at", "", "open at this time")
	flags.StringVar(&since, "since", "", "open at this time or later")
	flags.StringVar(&until, "until", "", "open before this time")
	return cmd
}

func showSessions(e *env.Env, all []session) error {
	if e.Format == "json" {
		for _, s := range all {
			if err := e.WriteJSON(report.Session{Head: report.Head{Schema: report.SessionSchema}, Daemon: s.daemon, Session: s.it}); err != nil {
				return err
			}
		}
		return nil
	}
	head := []string{"USER", "COMMON NAME", "FROM", "TUNNEL", "SINCE", "UNTIL", "DURATION", "IN", "OUT", "REASON"}
	return tabulate(e, head, 0, all, func(it *index.Session) []string {
		until, length := it.State, time.Since(it.Since)
		if !it.Until.IsZero() {
			length = it.Until.Sub(it.Since)
		}
		in, out := "", "" // not known before its end
		if it.State == index.SessionEnded {
			until, in, out = it.Until.Local().Format(time.DateTime), humanize.IBytes(it.In), humanize.IBytes(it.Out)
		}
		return []string{
			it.User, it.CN, it.Address, strings.Join(it.Tunnel, " "), it.Since.Local().Format(time.DateTime), until, span(length), in, out, it.Reason,
		}
	})
}

// span is a length of time in days, hours and minutes, as last(1) has it.
func span(d time.Duration) string {
	minutes := int(d.Round(time.Minute) / time.Minute)
	if days := minutes / (24 * 60); days > 0 {
		return fmt.Sprintf("%d+%02d:%02d", days, minutes/60%24, minutes%60)
	}
	return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60)
}
