package fleet

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// folder is a node's copy on disk: a log of changes, written anew when it has grown. It is read when the store is away at the
// start. A nil folder keeps nothing.
type folder struct {
	dir  string
	lock *os.File

	disk sync.Mutex // guards f; taken before the others
	f    *os.File

	mu      sync.Mutex // guards what follows; held for moments only, after the member's
	pending bytes.Buffer
	lines   int
	epochs  []string // of the node's runs, the newest last
	grants  map[int]struct{}
	epochOf map[string]string // of nodes, as written
	words   map[string]*saidOnDisk
}

// line is one line of the log; one of its fields is set.
type line struct {
	Store    string      `json:"store,omitempty"`    // what follows is of this store
	Epoch    string      `json:"epoch,omitempty"`    // a run of the node
	Record   *onDisk     `json:"record,omitempty"`   // as it is now
	Gone     string      `json:"gone,omitempty"`     // key of a record that is not any more
	Grant    *int        `json:"grant,omitempty"`    // a slot of the slice that was given away
	Ungrant  *int        `json:"ungrant,omitempty"`  // and came back before another node heard of it
	Word     *saidOnDisk `json:"word,omitempty"`     // this node was told, and the store has not heard
	Heard    string      `json:"heard,omitempty"`    // key of a word that the store has heard
	Complete int64       `json:"complete,omitempty"` // the copy was complete at this time, in milliseconds of this machine's calendar
}

type onDisk struct {
	Key      string          `json:"key"`
	Revision uint64          `json:"rev"`
	Value    json.RawMessage `json:"value"`
}

// saidOnDisk is a word.
type saidOnDisk struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value,omitempty"` // missing takes the record away
	Was   string          `json:"was,omitempty"`
	At    int64           `json:"at"` // when, in milliseconds of this machine's calendar
}

const (
	copyName = "copy.jsonl"
	// keptEpochs is how many runs of its own a node remembers.
	keptEpochs = 16
)

// restore opens the folder and takes in its copy.
func (m *Member) restore() error {
	if err := os.MkdirAll(m.cfg.Folder, 0o700); err != nil {
		return err
	}
	d := &folder{dir: m.cfg.Folder, grants: make(map[int]struct{}), epochOf: make(map[string]string), words: make(map[string]*saidOnDisk)}
	var err error
	if d.lock, err = lockFile(filepath.Join(d.dir, "lock")); err != nil {
		return fmt.Errorf("fleet: %s is in use by another process: %w", d.dir, err)
	}
	b, err := os.ReadFile(filepath.Join(d.dir, copyName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	complete := m.replay(d, b)
	m.remember(d, time.Now())
	d.epochs = append(d.epochs, m.epoch)
	d.epochs = d.epochs[max(0, len(d.epochs)-keptEpochs):]
	for slot := range d.grants {
		m.burnt[slot] = ^uint64(0) // until this run has written it
	}
	for n := range m.geo.slices {
		if s := as[Slice](m.mirror.records[sliceKey(n)]); s != nil && s.Node == m.cfg.Node {
			m.slice = n
		}
	}
	if wall := time.UnixMilli(complete); complete > 0 {
		if age := time.Until(wall); age <= 0 { // else the calendar was set back, and nothing is sure
			m.synced = time.Now().Add(age)
		}
	}
	m.folder = d
	return m.rewrite()
}

// replay takes in the lines of a log. A line that was not written to its end is the last.
func (m *Member) replay(d *folder, b []byte) (complete int64) {
	now := time.Now()
	sc := bufio.NewScanner(bytes.NewReader(b))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var l line
		if json.Unmarshal(sc.Bytes(), &l) != nil {
			break
		}
		switch {
		case l.Store != "":
			m.store, m.mirror = l.Store, newMirror(m.geo)
		case l.Epoch != "":
			d.epochs = append(d.epochs, l.Epoch)
		case l.Record != nil:
			r := l.Record
			if slot, ok := leaseSlot(r.Key); ok {
				if lease, ok := decode[Lease](Record{Value: r.Value}); ok {
					m.mirror.lease(slot, revised{&lease, r.Revision}, now)
				}
				continue
			}
			m.mirror.apply(Change{Record: Record{Key: r.Key, Value: r.Value, Revision: r.Revision}}, now)
		case l.Gone != "":
			if slot, ok := leaseSlot(l.Gone); ok {
				m.mirror.lease(slot, revised{}, now)
				continue
			}
			m.mirror.set(l.Gone, nil)
		case l.Grant != nil:
			d.grants[*l.Grant] = struct{}{}
		case l.Ungrant != nil:
			delete(d.grants, *l.Ungrant)
		case l.Word != nil:
			d.words[l.Word.Key] = l.Word
		case l.Heard != "":
			delete(d.words, l.Heard)
		case l.Complete != 0:
			complete = l.Complete
		}
	}
	m.mirror.seen, m.mirror.ahead, m.mirror.newest = 0, make(map[uint64]struct{}), 0
	return complete
}

// remember takes in what this node was told before it started, and the store has not heard of. An order that is too old is forgotten.
func (m *Member) remember(d *folder, now time.Time) {
	for key, s := range d.words {
		kind, _, _ := strings.Cut(key, ".")
		w := &word{was: s.Was}
		if s.Value != nil {
			r := Record{Key: key, Value: s.Value}
			w.entry = newEntry(r, parse(r), now)
		}
		if o := as[Order](w.entry); o != nil {
			m.carried[o.ID] = struct{}{} // here it was, before
		}
		if kind == kindOrder && now.Sub(time.UnixMilli(s.At)) > orderKept {
			delete(d.words, key)
			continue
		}
		m.words[key] = w
		m.work.add(saying + "." + key)
	}
}

// rewrite writes the log anew.
func (m *Member) rewrite() error {
	d := m.folder
	d.disk.Lock()
	defer d.disk.Unlock()
	path := filepath.Join(d.dir, copyName)
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(m.whole())
	if err = errors.Join(err, f.Sync()); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return errors.Join(err, f.Close()) // the old log lacks what was waiting: the next time writes all of it
	}
	if d.f != nil {
		_ = d.f.Close()
	}
	d.f = f
	return nil
}

// whole is the log of what is so now. It takes the place of all lines that wait.
func (m *Member) whole() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.folder
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending.Reset()
	d.lines = 0
	for _, e := range d.epochs {
		d.put(line{Epoch: e})
	}
	if m.store != "" {
		d.put(line{Store: m.store})
	}
	for _, key := range slices.Sorted(maps.Keys(m.mirror.records)) {
		e := m.mirror.records[key]
		d.put(line{Record: &onDisk{Key: key, Revision: e.Revision, Value: e.bytes()}})
	}
	for slot, e := range m.mirror.leases {
		d.putLease(slot, revised{as[Lease](e), e.Revision})
	}
	for slot := range d.grants {
		d.put(line{Grant: &slot})
	}
	for _, w := range d.words {
		d.put(line{Word: w})
	}
	if !m.synced.IsZero() {
		d.put(line{Complete: m.synced.UnixMilli()})
	}
	return d.taken()
}

// taken takes what waits.
func (d *folder) taken() []byte {
	b := bytes.Clone(d.pending.Bytes())
	d.pending.Reset()
	return b
}

func (d *folder) put(l line) {
	d.pending.Write(encode(l))
	d.pending.WriteByte('\n')
	d.lines++
}

// putLease is put for the record of a lease. There are many, so it is encoded once.
func (d *folder) putLease(slot int, r revised) {
	fmt.Fprintf(&d.pending, "{\"record\":{\"key\":%q,\"rev\":%d,\"value\":%s}}\n", leaseKey(slot), r.revision, encode(r.lease))
	d.lines++
}

// changed notes a change. It reaches the disk within a second. Of a node's record only a new epoch counts.
func (d *folder) changed(c Change) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.Deleted {
		delete(d.epochOf, c.Key)
		d.put(line{Gone: c.Key})
		return
	}
	if strings.HasPrefix(c.Key, kindNode+".") {
		n, _ := decode[Node](c.Record)
		if d.epochOf[c.Key] == n.Epoch {
			return
		}
		d.epochOf[c.Key] = n.Epoch
	}
	if json.Valid(c.Value) {
		d.put(line{Record: &onDisk{Key: c.Key, Revision: c.Revision, Value: c.Value}})
	}
}

// leased notes the lease of a slot, the zero value that there is none.
func (d *folder) leased(slot int, r revised) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.lease == nil {
		d.put(line{Gone: leaseKey(slot)})
		return
	}
	d.putLease(slot, r)
}

// begin notes that what follows is of another store.
func (d *folder) begin(store string) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.epochOf)
	d.put(line{Store: store})
}

func (d *folder) hadEpoch(epoch string) bool { return d != nil && slices.Contains(d.epochs, epoch) }

// grant notes on disk that a slot of the slice is given away.
func (d *folder) grant(slot int) error {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	if _, ok := d.grants[slot]; !ok {
		d.grants[slot] = struct{}{}
		d.put(line{Grant: &slot})
	}
	d.mu.Unlock()
	return d.flush()
}

func (d *folder) ungrant(slot int) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.grants[slot]; ok {
		delete(d.grants, slot)
		d.put(line{Ungrant: &slot})
	}
}

// said notes a word on disk.
func (d *folder) said(key string, w *word, now time.Time) error {
	if d == nil {
		return nil
	}
	s := &saidOnDisk{Key: key, Was: w.was, At: now.UnixMilli()}
	if w.entry != nil {
		s.Value = w.entry.bytes()
	}
	d.mu.Lock()
	d.words[key] = s
	d.put(line{Word: s})
	d.mu.Unlock()
	return d.flush()
}

// heard notes that the store has heard a word.
func (d *folder) heard(key string) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.words[key]; ok {
		delete(d.words, key)
		d.put(line{Heard: key})
	}
}

// flush writes what waits.
func (d *folder) flush() error {
	d.disk.Lock()
	defer d.disk.Unlock()
	d.mu.Lock()
	b := d.taken()
	d.mu.Unlock()
	if len(b) == 0 {
		return nil
	}
	_, err := d.f.Write(b)
	return errors.Join(err, d.f.Sync())
}

// stamp notes when the copy was complete, and reports whether the log is mostly history.
func (m *Member) stamp(last *time.Time, anyway bool) (long bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.folder
	d.mu.Lock()
	defer d.mu.Unlock()
	if m.synced.Sub(*last) >= reconcileEvery || anyway && m.synced.After(*last) {
		*last = m.synced
		d.put(line{Complete: last.UnixMilli()})
	}
	return d.lines > 4*(len(m.mirror.records)+len(m.mirror.leases))+4096
}

// keepFolder writes changes each second, and the log anew when it is mostly history.
func (m *Member) keepFolder(ctx context.Context) {
	d := m.folder
	if d == nil {
		return
	}
	defer d.close()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var told, stamped time.Time
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		long := m.stamp(&stamped, ctx.Err() != nil)
		err := d.flush()
		if long || err != nil {
			err = errors.Join(err, m.rewrite())
		}
		if err != nil && time.Since(told) > time.Minute {
			told = time.Now()
			m.cfg.Log("fleet: write %s: %v; after a restart without the fleet's store this node knows less", d.dir, err)
		}
	}
}

func (d *folder) close() {
	d.disk.Lock()
	defer d.disk.Unlock()
	_ = d.f.Close()
	_ = d.lock.Close()
}
