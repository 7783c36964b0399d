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
func Query(ctx context.Context, dir string, f Filter) ([]journal.Event, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	defer root.Close() //nolint:errcheck // read only
	list, err := indexed(ctx, root, dir, f)
	if err == nil || ctx.Err() != nil {
		return list, err
	}
	if built && broken(dir) {
		if list, err := indexed(ctx, root, dir, f); err == nil {
			return list, nil
		}
	}
	return scan(ctx, root, f)
}

// indexed is the answer by the index.
func indexed(ctx context.Context, root *os.Root, dir string, f Filter) (list []journal.Event, err error) {
	x, err := Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	if err := x.CatchUp(ctx, root); err != nil {
		return nil, err
	}
	where, args := f.clause()
	rows, err := x.db.QueryContext(ctx, "SELECT segment, offset, length FROM events WHERE "+where+" ORDER BY time, rowid", args...) //nolint:gosec // the clause is ours
	if err != nil {
		return nil, err
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
			return nil, err
		}
		file := open[segment]
		if file == nil {
			if file, err = root.Open(journal.SegmentName(segment)); err != nil {
				return nil, err
			}
			open[segment] = file
		}
		line := make([]byte, length)
		if _, err := file.ReadAt(line, offset); err != nil {
			return nil, err
		}
		var e journal.Event
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, err
		}
		if !f.takes(&e) {
			return nil, errors.New("the index does not belong to these segments")
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

// scan is the answer by the segments alone.
func scan(ctx context.Context, root *os.Root, f Filter) ([]journal.Event, error) {
	segments, err := journal.Segments(root.FS())
	if err != nil {
		return nil, err
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
			return nil, err
		}
	}
	slices.SortStableFunc(list, func(a, b journal.Event) int { return a.Time.Compare(b.Time) })
	return list, nil
}
