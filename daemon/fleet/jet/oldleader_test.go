//go:build !nofleet

package jet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet"
)

// For a moment after a partition two servers answer as leaders, and the first answer wins. A node that writes then is told of no conflict
// where its write lands, and reads nothing older than what it has written.
func TestTwoLeadersAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("elections and partitions, a quarter of a minute")
	}
	t.Parallel()
	c := newCluster(t)
	lead, far, near := c.sides(t)
	records := make([]fleet.Record, 12)
	for k := range records {
		r := &records[k]
		r.Key = fmt.Sprint("record.", k)
		eventually(t, "a record", func() (err error) {
			r.Revision, err = near.Create(within(t, 5*time.Second), r.Key, []byte("first"))
			return err
		})
	}
	c.cut(lead, true)
	// Of a third of the records the old leader has writes under way, a third the others write, a third is left as it is.
	var all sync.WaitGroup
	for k := 0; k < len(records); k += 3 {
		all.Go(func() {
			_, err := far.Update(within(t, time.Second), records[k].Key, []byte("lost"), records[k].Revision)
			if !errors.Is(err, fleet.ErrUnknown) && !errors.Is(err, fleet.ErrAway) {
				t.Errorf("a write at a node that is cut off: %v", err)
			}
		})
	}
	all.Wait()
	for k := 1; k < len(records); k += 3 {
		eventually(t, "a write of the others", func() error {
			rev, err := near.Update(within(t, time.Second), records[k].Key, []byte("second"), records[k].Revision)
			if errors.Is(err, fleet.ErrConflict) { // one without an answer has landed
				var r fleet.Record
				r, err = near.Get(within(t, time.Second), records[k].Key)
				rev = r.Revision
			}
			if err == nil {
				records[k].Revision = rev
			}
			return err
		})
	}
	c.cut(lead, false)
	var told outcomes
	for _, r := range records {
		all.Go(func() { told.write(t, far, near, r) })
	}
	all.Wait()
	t.Logf("written %d, conflict %d, unknown %d", told.written.Load(), told.conflict.Load(), told.unknown.Load())
}

// outcomes counts what writers are told.
type outcomes struct{ written, conflict, unknown atomic.Int32 }

// write writes a record at one node, as often as it takes, and compares what that says with what another node reads.
func (o *outcomes) write(t *testing.T, far, near *Store, r fleet.Record) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for n := 0; ctx.Err() == nil; n++ {
		value := fmt.Sprint("write ", n)
		rev, err := far.Update(within(t, time.Second), r.Key, []byte(value), r.Revision)
		switch {
		case err == nil:
			o.written.Add(1)
			now, err := far.Get(within(t, time.Second), r.Key)
			if errors.Is(err, fleet.ErrNotFound) || err == nil && now.Revision < rev {
				t.Errorf("%s: after revision %d was written its node reads %d: %v", r.Key, rev, now.Revision, err)
			}
			return
		case errors.Is(err, fleet.ErrConflict):
			o.conflict.Add(1)
			time.Sleep(300 * time.Millisecond) // what is on its way arrives
			var now fleet.Record
			eventually(t, "the record", func() (err error) {
				now, err = near.Get(within(t, time.Second), r.Key)
				return err
			})
			switch {
			case string(now.Value) == value:
				t.Errorf("%s: the write of %q is said to be in conflict, and has landed", r.Key, value)
				return
			case now.Revision != r.Revision:
				return // one of unknown outcome has landed
			}
		case errors.Is(err, fleet.ErrUnknown):
			o.unknown.Add(1)
		case !errors.Is(err, fleet.ErrAway):
			t.Errorf("%s: %v", r.Key, err)
		}
	}
	t.Errorf("%s: no write within 20 s", r.Key)
}
