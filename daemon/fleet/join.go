package fleet

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/moongate-vpn/moongate/daemon/internal/pause"
)

// join makes the node part of the store: reads it, fills a new one, and takes the node's record and a slice.
func (m *Member) join(ctx context.Context) error {
	id, err := m.identify(ctx)
	if err != nil {
		return err
	}
	m.adopt(id.ID)
	if err := m.readAll(ctx, false); err != nil {
		return err
	}
	if err := m.takeName(ctx); err != nil {
		return err
	}
	if !m.isSynced(ctx) { // what was read before the first write may be old
		if err := m.readAll(ctx, true); err != nil {
			return err
		}
	}
	if !m.has(&id) {
		if err := m.changePool(ctx, id); err != nil {
			return err
		}
	}
	if err := m.fill(ctx); err != nil {
		return err
	}
	if err := m.takeSlice(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	m.joined, m.waits = true, nil
	m.requeue()
	m.mu.Unlock()
	m.cfg.Log("fleet: node %s is in", m.cfg.Node)
	m.work.start(func(ctx context.Context) error { return m.openStore(ctx, id) })
	return nil
}

// identify reads the store's first record, or makes it.
func (m *Member) identify(ctx context.Context) (id identityOfStore, err error) {
	var r Record
	err = m.call(ctx, func(ctx context.Context) (err error) {
		r, err = m.cfg.Store.Get(ctx, kindStore)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		var b [8]byte
		rand.Read(b[:])
		id = identityOfStore{ID: hex.EncodeToString(b[:]), Layout: layout, Pool: m.cfg.Pool, Slots: m.cfg.Slots, Open: m.cfg.Alone}
		err = m.call(ctx, func(ctx context.Context) error {
			_, err := m.cfg.Store.Create(ctx, kindStore, encode(id))
			return err
		})
		if errors.Is(err, ErrConflict) {
			return m.identify(ctx) // another node was first
		}
		return id, err
	}
	if err != nil {
		return id, err
	}
	id, ok := decode[identityOfStore](r)
	if !ok {
		return id, &outError{"the fleet's store holds something else than a fleet"}
	}
	if id.Layout < layout {
		return id, &outError{fmt.Sprintf("the fleet's store has layout %d, and this moongate writes %d: end all nodes, remove the folder engine in the folder of each, and start them again: each fills the new store with what it knows", max(id.Layout, 1), layout)}
	}
	if id.Layout > layout {
		return id, &outError{fmt.Sprintf("the fleet's store has layout %d, and this moongate reads %d at the most: it is older than that of the other nodes", id.Layout, layout)}
	}
	return id, nil
}

// adopt begins a new copy for a store that is not the one that the node knows. What is known of the old one fills the new.
func (m *Member) adopt(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id == m.store {
		return
	}
	if m.store != "" {
		m.refill.leases = make(map[int]*Lease, len(m.mirror.leases))
		for slot, e := range m.mirror.leases {
			m.refill.leases[slot] = as[Lease](e)
		}
		for _, kind := range []string{kindSlice, kindPlace, kindBan, kindFile, kindRevoked} {
			for _, e := range m.mirror.below(kind) {
				m.refill.records = append(m.refill.records, Record{Key: e.Key, Value: e.bytes()})
			}
		}
	}
	m.store, m.mirror = id, newMirror(m.geo)
	clear(m.unsure)
	for _, s := range m.sessions {
		s.rev, s.base = 0, 0
	}
	m.folder.begin(id)
}

// refill holds what a node knows of the store before.
type refill struct {
	leases  map[int]*Lease // by slot
	records []Record       // all others that are worth it
}

// fill writes what is known of the store before, where nobody did.
func (m *Member) fill(ctx context.Context) error {
	if err := m.fillLeases(ctx); err != nil {
		return err
	}
	for {
		m.mu.Lock()
		if len(m.refill.records) == 0 {
			m.mu.Unlock()
			return nil
		}
		r := m.refill.records[0]
		m.mu.Unlock()
		if err := m.create(ctx, r.Key, r.Value); errors.Is(err, ErrConflict) {
			_ = m.refresh(ctx, r.Key)
		} else if err != nil {
			return err // a record that is written twice is in conflict with itself
		}
		m.mu.Lock()
		m.refill.records = m.refill.records[1:]
		m.mu.Unlock()
	}
}

// fillLeases is fill for leases, which share records. One that is written twice is in conflict with itself.
func (m *Member) fillLeases(ctx context.Context) error {
	m.mu.Lock()
	leases := m.refill.leases
	m.mu.Unlock()
	var all errgroup.Group
	all.SetLimit(8 * m.geo.page)
	for slot, l := range leases {
		all.Go(func() error {
			if err := m.writeLease(ctx, &leaseWrite{slot: slot, lease: l}); !errors.Is(err, ErrConflict) {
				return err
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refill.leases = nil
	return nil
}

// takeName makes the node's record. A record of an earlier run of this folder is ours at once; one of an unknown process is, when
// nobody renews it.
func (m *Member) takeName(ctx context.Context) error {
	key := nodeKey(m.cfg.Node)
	for {
		m.mu.Lock()
		e := m.mirror.records[key]
		n := as[Node](e)
		value := encode(m.record())
		ours := n == nil || n.Epoch == m.epoch || m.folder.hadEpoch(n.Epoch)
		m.mu.Unlock()
		if !ours {
			if err := m.watchName(ctx, n); err != nil {
				return err
			}
		}
		var err error
		began := time.Now()
		if e == nil {
			err = m.create(ctx, key, value)
		} else {
			err = m.update(ctx, key, value, e.Revision)
		}
		m.hasRenewed(began, err)
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err := m.refresh(ctx, key); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
}

// watchName waits for the time of silence and fails if the node's record is renewed meanwhile.
func (m *Member) watchName(ctx context.Context, first *Node) error {
	m.cfg.Log("fleet: node %s has run elsewhere; waiting %d s whether it still does", m.cfg.Node, int(silence.Seconds()))
	for until := time.Now().Add(silence); time.Now().Before(until); {
		if err := pause.For(ctx, time.Second); err != nil {
			return err
		}
		if err := m.refresh(ctx, nodeKey(m.cfg.Node)); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		m.mu.Lock()
		n := m.mirror.node(m.cfg.Node)
		m.mu.Unlock()
		if n != nil && (n.Epoch != first.Epoch || n.Beat != first.Beat) {
			return &outError{fmt.Sprintf("another process runs as node %s", m.cfg.Node)}
		}
	}
	return nil
}

// takeSlice leases a slice of the pool for the times when the store is away.
func (m *Member) takeSlice(ctx context.Context) error {
	for {
		m.mu.Lock()
		n, e := m.freeSlice(time.Now())
		m.mu.Unlock()
		if n < 0 {
			m.cfg.Log("fleet: no slice of the pool is left for node %s: newcomers are refused while the store is away", m.cfg.Node)
			return nil
		}
		value := encode(Slice{Node: m.cfg.Node})
		var err error
		switch {
		case e == nil:
			err = m.create(ctx, sliceKey(n), value)
		case as[Slice](e).Node != m.cfg.Node:
			err = m.update(ctx, sliceKey(n), value, e.Revision)
		}
		if err == nil {
			m.mu.Lock()
			m.slice = n
			m.mu.Unlock()
			return nil
		}
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err := m.refresh(ctx, sliceKey(n)); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
}

// freeSlice is the slice that the node has, else the first that nobody has, else one of a node that has left.
func (m *Member) freeSlice(now time.Time) (int, *entry) {
	free := -1
	for n := range m.geo.slices {
		e := m.mirror.records[sliceKey(n)]
		s := as[Slice](e)
		switch {
		case s == nil:
			if free < 0 {
				free = n
			}
		case s.Node == m.cfg.Node:
			return n, e
		}
	}
	if free >= 0 {
		return free, nil
	}
	for n := range m.geo.slices {
		e := m.mirror.records[sliceKey(n)]
		if m.mirror.node(as[Slice](e).Node) == nil && m.sliceIsOver(n, now) {
			return n, e
		}
	}
	return -1, nil
}

// sliceIsOver reports whether all leases of a slice are over, and their time too.
func (m *Member) sliceIsOver(n int, now time.Time) bool {
	for slot := m.geo.first(n); slot < m.geo.first(n)+m.geo.size; slot++ {
		if e := m.mirror.leases[slot]; e != nil && !m.mirror.reusable(e, m.cfg.LeaseTime, now) {
			return false
		}
	}
	return true
}

// openStore lets newcomers have what the store does not hold, after its time to be filled.
func (m *Member) openStore(ctx context.Context, id identityOfStore) error {
	if id.Open {
		return nil
	}
	if err := pause.For(ctx, settling); err != nil {
		return err
	}
	m.mu.Lock()
	e := m.mirror.records[kindStore]
	now := as[identityOfStore](e)
	m.mu.Unlock()
	if now == nil || now.Open || now.ID != id.ID {
		return nil
	}
	id.Open = true
	err := m.update(ctx, kindStore, encode(id), e.Revision)
	if errors.Is(err, ErrConflict) {
		return m.refresh(ctx, kindStore)
	}
	return err
}

// whoseRecord finds out why the node's record is not what the node wrote: another process has the name, an administrator took the node
// out, or the store is a new one.
func (m *Member) whoseRecord(ctx context.Context) error {
	id, err := m.identify(ctx)
	if err != nil {
		return err
	}
	m.mu.Lock()
	known := m.store
	m.mu.Unlock()
	if id.ID != known {
		m.mu.Lock()
		m.joined = false
		m.mu.Unlock()
		return m.join(ctx)
	}
	if err := m.refresh(ctx, nodeKey(m.cfg.Node)); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch n := m.mirror.node(m.cfg.Node); {
	case n == nil:
		return &outError{fmt.Sprintf("node %s was taken out of the fleet", m.cfg.Node)}
	case n.Epoch != m.epoch:
		return &outError{fmt.Sprintf("another process runs as node %s", m.cfg.Node)}
	}
	return fmt.Errorf("%w: a renewal before", ErrUnknown) // or an old leader has said so: the next round tells
}

// requeue queues every key that this node may have to write.
func (m *Member) requeue() {
	for key := range m.mirror.records {
		m.react(key)
	}
	for slot := range m.mirror.leases {
		m.reactLease(slot)
	}
	for _, s := range m.sessions {
		m.wanted(s)
	}
	for slot := range m.burnt {
		m.work.add(leaseKey(slot))
	}
	for key := range m.words {
		m.work.add(saying + "." + key)
	}
	if m.slice >= 0 {
		m.work.add(sliceKey(m.slice))
	}
}

// wanted queues the records that a session needs.
func (m *Member) wanted(s *session) {
	if s.slot >= 0 && !s.writing {
		m.work.add(leaseKey(s.slot))
	}
	if s.place >= 0 {
		m.work.add(placeKey(s.User, s.place))
	}
	if s.late {
		m.work.add(Key(latePlace, s.Session))
	}
}

// latePlace begins the keys of work that is no record: a place to be claimed in the background.
const latePlace = "late"
