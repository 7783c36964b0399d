// Package index finds events in the segments of a journal. It is a SQLite file beside them that holds nothing of its own: what is
// missing in it is read from the segments, and a broken one is made anew. A build without SQLite (driver_none.go) has no index and reads
// all segments for each question.
package index

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/journal"
)

// File is the name of the index in the directory of a journal.
const File = "index.sqlite"

// layout changes with the tables: an index with another is made anew.
const layout = 2

const tables = `
CREATE TABLE segments(number INTEGER PRIMARY KEY, done INTEGER NOT NULL);
CREATE TABLE events(segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
	time INTEGER NOT NULL, kind TEXT NOT NULL, user TEXT NOT NULL, cn TEXT NOT NULL, address TEXT NOT NULL);
`

// orders are made after the first events are in: sorting many at once is faster than keeping each in its place.
const orders = `
CREATE INDEX IF NOT EXISTS by_time ON events(time);
CREATE INDEX IF NOT EXISTS by_user ON events(user, time) WHERE user <> '';
CREATE INDEX IF NOT EXISTS by_cn ON events(cn, time) WHERE cn <> '';
CREATE INDEX IF NOT EXISTS by_address ON events(address, time) WHERE address <> '';
CREATE INDEX IF NOT EXISTS by_segment ON events(segment);
CREATE INDEX IF NOT EXISTS by_run ON events(time) WHERE kind IN ('start','stop');
`

// Index is an open index. Several processes may have the same one open.
type Index struct {
	dir string
	db  *sql.DB
}

// ErrNotBuilt says that this build has no index. Query works all the same.
var ErrNotBuilt = errors.New("this build has no SQLite; questions about the past read the whole journal")

// Open opens the index of the journal in dir, or makes it. CatchUp fills it. A build without an index gives ErrNotBuilt.
func Open(ctx context.Context, dir string) (*Index, error) {
	if !built {
		return nil, ErrNotBuilt
	}
	x, err := open(ctx, dir)
	if err == nil || !broken(dir) {
		return x, err
	}
	return open(ctx, dir)
}

// broken removes an index that cannot be used, and reports whether there was one that it could remove.
func broken(dir string) bool {
	path := filepath.Join(dir, File)
	if os.Remove(path) != nil {
		return false
	}
	_ = os.Remove(path + "-wal") // maybe there is none
	_ = os.Remove(path + "-shm")
	return true
}

func open(ctx context.Context, dir string) (*Index, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	where := url.URL{Scheme: "file", Path: filepath.Join(abs, File), RawQuery: "_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=temp_store(MEMORY)"}
	db, err := sql.Open("sqlite", where.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // kept open: after a chroot it cannot be opened again
	x := &Index{dir: dir, db: db}
	if err := x.prepare(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if info, err := os.Stat(filepath.Join(abs, File)); err == nil && info.Mode().Perm()&0o007 != 0 {
		_ = os.Chmod(filepath.Join(abs, File), 0o640) //nolint:gosec // names of users are for this user and group alone; another's file stays as it is
	}
	return x, nil
}

// prepare makes the tables of a new file, and refuses a file with others.
func (x *Index) prepare(ctx context.Context) error {
	return x.within(ctx, func(tx *sql.Tx) error {
		var have int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil || have == layout {
			return err
		}
		if have != 0 {
			return fmt.Errorf("index of layout %d, want %d", have, layout)
		}
		_, err := tx.ExecContext(ctx, tables+fmt.Sprintf("PRAGMA user_version = %d;", layout))
		return err
	})
}

// Close closes the index.
func (x *Index) Close() error { return x.db.Close() }

func (x *Index) within(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// CatchUp takes in what the segments have got since, and forgets those that are gone. A segment is a transaction.
func (x *Index) CatchUp(ctx context.Context, root *os.Root) error {
	list, err := journal.Segments(root.FS())
	if err != nil {
		return err
	}
	have := make(map[int64]int64)
	rows, err := x.db.QueryContext(ctx, "SELECT number, done FROM segments")
	if err != nil {
		return err
	}
	for rows.Next() {
		var n, done int64
		if err := rows.Scan(&n, &done); err != nil {
			return errors.Join(err, rows.Close())
		}
		have[n] = done
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, s := range list {
		if done, ok := have[s.Number]; !ok || done < s.Info.Size() {
			if err := x.within(ctx, func(tx *sql.Tx) error { return take(ctx, tx, root, s.Number) }); err != nil {
				return err
			}
		}
		delete(have, s.Number)
	}
	for n := range have {
		err := x.within(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "DELETE FROM events WHERE segment = ?1; DELETE FROM segments WHERE number = ?1", n)
			return err
		})
		if err != nil {
			return err
		}
	}
	_, err = x.db.ExecContext(ctx, orders)
	return err
}

// take indexes the whole lines of a segment that are not in the index.
func take(ctx context.Context, tx *sql.Tx, root *os.Root, segment int64) error {
	var done int64
	err := tx.QueryRowContext(ctx, "SELECT done FROM segments WHERE number = ?", segment).Scan(&done)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	insert, err := tx.PrepareContext(ctx, "INSERT INTO events VALUES(?,?,?,?,?,?,?,?)")
	if err != nil {
		return err
	}
	defer insert.Close() //nolint:errcheck // the transaction tells
	end, err := lines(root, segment, done, func(offset int64, line []byte, e *journal.Event) error {
		_, err := insert.ExecContext(ctx, segment, offset, len(line), e.Time.UnixMilli(), e.Kind, e.User, e.CN, e.Address)
		return err
	})
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO segments VALUES(?1,?2) ON CONFLICT(number) DO UPDATE SET done = ?2", segment, end)
	return err
}

// lines calls f with each whole line of a segment from an offset on that holds an event, and returns where they end.
func lines(root *os.Root, segment, from int64, f func(offset int64, line []byte, e *journal.Event) error) (int64, error) {
	file, err := root.Open(journal.SegmentName(segment))
	if err != nil {
		return from, err
	}
	defer file.Close() //nolint:errcheck // read only
	if _, err := file.Seek(from, io.SeekStart); err != nil {
		return from, err
	}
	for r := bufio.NewReaderSize(file, 1<<16); ; {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return from, nil
		} else if err != nil {
			return from, err
		}
		var e journal.Event
		if json.Unmarshal(line, &e) == nil && e.Kind != "" {
			if err := f(from, line, &e); err != nil {
				return from, err
			}
		}
		from += int64(len(line))
	}
}

// Filter chooses events: those that have all that is set.
type Filter struct {
	User, CN, Address string
	Kinds             []string  // any of them; none is all
	Since, Until      time.Time // from the one, before the other
}

func (f *Filter) takes(e *journal.Event) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	return is(f.User, e.User) && is(f.CN, e.CN) && is(f.Address, e.Address) &&
		(len(f.Kinds) == 0 || slices.Contains(f.Kinds, e.Kind)) &&
		(f.Since.IsZero() || !e.Time.Before(f.Since)) && (f.Until.IsZero() || e.Time.Before(f.Until))
}

// runKinds are the events that begin and end a run of the daemon.
var runKinds = []string{journal.KindStart, journal.KindStop}

// clause is the filter in SQL.
func (f *Filter) clause() (where string, args []any) {
	where = "1"
	add := func(set bool, text string, arg any) {
		if set {
			where, args = where+" AND "+text, append(args, arg)
		}
	}
	add(f.User != "", "user <> '' AND user = ?", f.User)
	add(f.CN != "", "cn <> '' AND cn = ?", f.CN)
	add(f.Address != "", "address <> '' AND address = ?", f.Address)
	if slices.Equal(f.Kinds, runKinds) {
		where += " AND kind IN ('start','stop')" // to the letter: else the order by_run does not count
	} else if n := len(f.Kinds); n > 0 {
		where += " AND kind IN (?" + strings.Repeat(",?", n-1) + ")"
		for _, k := range f.Kinds {
			args = append(args, k)
		}
	}
	add(!f.Since.IsZero(), "time >= ?", f.Since.UnixMilli())
	add(!f.Until.IsZero(), "time < ?", f.Until.UnixMilli())
	return where, args
}
