// Package past holds "history", "last" and "sessions": what the journals of the daemons on this machine say about users and clients.
package past

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/table"
	"github.com/moongate-vpn/moongate/daemon/journal"
)

// DefaultDir is where the packaged units keep journals, each in a folder with the name of its daemon.
const DefaultDir = "/var/lib/moongate/journal"

// NewCmds returns the commands of this package.
func NewCmds(e *env.Env) []*cobra.Command {
	return []*cobra.Command{newHistory(e), newLast(e), newSessions(e)}
}

// book is a journal, and the name of its daemon where a folder holds several.
type book struct{ dir, daemon string }

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
				list = append(list, book{sub, d.Name()})
			}
		}
	}
	if len(list) == 0 {
		return []book{{dir: dir}}, nil
	}
	return list, nil
}

// of is something in the journal of a daemon.
type of[T any] struct {
	daemon string
	it     T
}

// gather asks each journal in dir and puts the answers in the order of time.
func gather[T any](dir string, at func(T) time.Time, ask func(dir string) ([]T, error)) ([]of[T], error) {
	list, err := books(dir)
	if err != nil {
		return nil, err
	}
	var all []of[T]
	for _, b := range list {
		answer, err := ask(b.dir)
		if err != nil {
			return nil, err
		}
		for _, it := range answer {
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
	cmd.Flags().StringVar(dir, "dir", DefaultDir, "directory of a journal, or of folders with journals")
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
