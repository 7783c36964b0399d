package index

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/moongate-vpn/moongate/daemon/journal"
)

// Query returns the events of the journal in dir that a filter takes, oldest first. It brings the index up to date, makes a broken one
// anew, and reads all segments where no index can be written.
func Query(ctx context.Context, dir string, f Filter) (list []journal.Event, err error) {
	err = answer(ctx, dir, f, func() bool { list = nil; return true }, func(e *journal.Event) error {
		list = append(list, *e)
		return nil
	})
	return list, err
}

// Each is Query for answers that are passed on as they come, however many events they have. An error of take ends it.
func Each(ctx context.Context, dir string, f Filter, take func(*journal.Event) error) error {
	took := false
	return answer(ctx, dir, f, func() bool { return !took }, func(e *journal.Event) error {
		took = true
		return take(e)
	})
}

// answer calls take with each event, from the start again where one way to them fails and again allows it.
func answer(ctx context.Context, dir string, f Filter, again func() bool, take func(*journal.Event) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	defer root.Close() //nolint:errcheck // read only
	if err = indexed(ctx, root, dir, f, take); err == nil || ctx.Err() != nil || !again() {
		return err
	}
	if built && broken(dir) {
		if err = indexed(ctx, root, dir, f, take); err == nil || !again() {
			return err
		}
	}
	return scan(ctx, root, f, take)
}

// indexed is the answer by the index.
func indexed(ctx context.Context, root *os.Root, dir string, f Filter, take func(*journal.Event) error) (err error) {
	x, err := Open(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	if err := x.CatchUp(ctx, root); err != nil {
		return err
	}
	where, args := f.clause()
	rows, err := x.db.QueryContext(ctx, "SELECT segment, offset, length FROM events WHERE "+where+" ORDER BY time, rowid", args...) //nolint:gosec // the clause is ours
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	open := make(map[int64]*os.File)
	defer func() {
		for _, file := range open {
			_ = file.Close() // read only
		}
	}()
	for rows.Next() {
		var segment, offset int64
		var length int
		if err := rows.Scan(&segment, &offset, &length); err != nil {
			return err
		}
		file := open[segment]
		if file == nil {
			if file, err = root.Open(journal.SegmentName(segment)); err != nil {
				return err
			}
			open[segment] = file
		}
		line := make([]byte, length)
		if _, err := file.ReadAt(line, offset); err != nil {
			return err
		}
		var e journal.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		if !f.takes(&e) {
			return errors.New("the index does not belong to these segments")
		}
		if err := take(&e); err != nil {
			return err
		}
	}
	return rows.Err()
}

// scan is the answer by the segments alone.
func scan(ctx context.Context, root *os.Root, f Filter, take func(*journal.Event) error) error {
	segments, err := journal.Segments(root.FS())
	if err != nil {
		return err
	}
	var list []journal.Event
	for _, s := range segments {
		_, err := lines(root, s.Number, 0, func(_ int64, _ []byte, e *journal.Event) error {
			if f.takes(e) {
				list = append(list, *e)
			}
			return ctx.Err()
		})
		if err != nil {
			return err
		}
	}
	slices.SortStableFunc(list, func(a, b journal.Event) int { return a.Time.Compare(b.Time) })
	for n := range list {
		if err := take(&list[n]); err != nil {
			return err
		}
	}
	return nil
}
