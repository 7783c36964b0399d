// Package past holds "history", "last" and "sessions": what the journals of the daemons on this machine, or of a fleet's nodes, say about
// users and clients.
package past

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/table"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/target"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/journal/index"
)

// defaultDir is where the packaged units keep journals, each in a folder with the name of its daemon.
const defaultDir = "/var/lib/moongate/journal"

// NewCmds returns the commands of this package.
func NewCmds(e *env.Env) []*cobra.Command {
	return []*cobra.Command{newHistory(e), newLast(e), newSessions(e)}
}

// book is a journal, and the name of its daemon where there are several.
type book struct {
	daemon string
	query  func(context.Context, index.Filter) ([]journal.Event, error)
}

// local is the journal in dir.
func local(dir, daemon string) book {
	return book{daemon, func(ctx context.Context, f index.Filter) ([]journal.Event, error) { return index.Query(ctx, dir, f) }}
}

// books are the journals that dir stands for: its own, or those of the folders in it.
func books(dir string) ([]book, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	holds := func(dir string) bool {
		list, err := journal.Segments(os.DirFS(dir))
		return err != nil || len(list) > 0 // asking it tells what is wrong
	}
	var list []book
	if !holds(dir) {
		for _, d := range entries {
			if sub := filepath.Join(dir, d.Name()); d.IsDir() && holds(sub) {
				list = append(list, local(sub, d.Name()))
			}
		}
	}
	if len(list) == 0 {
		return []book{local(dir, "")}, nil
	}
	return list, nil
}

// of is something in the journal of a daemon.
type of[T any] struct {
	daemon string
	it     T
}

// library is the journals that a command reads: of this machine, or of the nodes that -a names.
type library struct {
	books   []book
	nodes   bool
	missing map[string]error // nodes that did not answer, and why
}

// open finds the journals.
func open(e *env.Env, cmd *cobra.Command, dir string) (*library, error) {
	if len(e.Addrs) == 0 || cmd.Flags().Changed("dir") {
		list, err := books(dir)
		return &library{books: list}, err
	}
	all, err := e.Targets()
	if err != nil {
		return nil, err
	}
	l := &library{nodes: true, missing: make(map[string]error)}
	for _, t := range all {
		if !target.IsFleet(t.Address) {
			return nil, env.Usagef("%s reads the journals of this machine, or of nodes of the fleet: %s is none (-a fleet)", cmd.CommandPath(), t.Name)
		}
		l.books = append(l.books, book{t.Name, func(ctx context.Context, f index.Filter) ([]journal.Event, error) {
			return target.FleetHistory(ctx, t, e.Timeout, f)
		}})
	}
	return l, nil
}

// lacks notes that a node does not answer, and reports whether the others are asked on.
func (l *library) lacks(daemon string, err error) bool {
	if l.nodes {
		l.missing[daemon] = err
	}
	return l.nodes
}

// verdict names the nodes that did not answer.
func (l *library) verdict(e *env.Env) error {
	if len(l.missing) == 0 {
		return nil
	}
	names := slices.Sorted(maps.Keys(l.missing))
	for _, n := range names {
		fmt.Fprintf(e.Err, "moongate: %s: %v\n", n, l.missing[n])
	}
	return &lacking{fmt.Sprintf("%d of %d nodes answered, not: %s", len(l.books)-len(names), len(l.books), strings.Join(names, ", "))}
}

// lacking says that some nodes did not answer.
type lacking struct{ text string }

func (l *lacking) Error() string { return l.text }

// ExitCode implements [env.Exiter].
func (l *lacking) ExitCode() int { return env.CodeUnreachable }

// gather asks all journals at the same time and puts the answers in the order of time. A node that did not answer before is not asked again.
func gather[T any](l *library, at func(T) time.Time, ask func(book) ([]T, error)) ([]of[T], error) {
	answers := make([][]T, len(l.books))
	errs := make([]error, len(l.books))
	var asked sync.WaitGroup
	for i, b := range l.books {
		if l.missing[b.daemon] == nil {
			asked.Go(func() { answers[i], errs[i] = ask(b) })
		}
	}
	asked.Wait()
	var all []of[T]
	for i, b := range l.books {
		if errs[i] != nil && !l.lacks(b.daemon, errs[i]) {
			return nil, errs[i]
		}
		for _, it := range answers[i] {
			all = append(all, of[T]{b.daemon, it})
		}
	}
	slices.SortStableFunc(all, func(a, b of[T]) int { return cmp.Or(at(a.it).Compare(at(b.it)), cmp.Compare(a.daemon, b.daemon)) })
	return all, nil
}

// tabulate writes a table of events or sessions. Where daemons have names they get a column of their own, at the given place.
func tabulate[T any](e *env.Env, head []string, at int, all []of[T], row func(it *T) []string) error {
	named := slices.ContainsFunc(all, func(x of[T]) bool { return x.daemon != "" })
	if named {
		head = slices.Insert(head, at, "DAEMON")
	}
	rows := make([][]string, 0, len(all))
	for _, x := range all {
		r := row(&x.it)
		if named {
			r = slices.Insert(r, at, x.daemon)
		}
		rows = append(rows, r)
	}
	return table.Write(e, head, rows)
}

// dirFlag adds --dir.
func dirFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "dir", defaultDir, "directory of a journal, or of folders with journals")
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
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q: want a duration such as 90d or 36h, a date, or RFC 3339", s)
}
