package fleet

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Times of a fleet.
const (
	beatEvery      = 3 * time.Second
	silence        = 10 * time.Second // after which others take a node for dead
	reconcileEvery = 30 * time.Second
	callLimit      = 2 * time.Second  // of one question to the store
	settling       = 15 * time.Second // of a new store, until what it does not hold is free
	margin         = 15 * time.Second // between the end of what is unsure here and its use elsewhere
	// DefaultLeaseTime is how long an address waits for its client.
	DefaultLeaseTime = time.Hour
)

// A Limit is how many sessions a user may have in the fleet at a time.
type Limit struct {
	// Single is one session for each identity, the newest, as a server has it by itself. It costs nothing: leases tell. The others count for users.
	Single bool
	// Max is the number, 0 for no limit.
	Max int
	// Oldest refuses newcomers; else they take the place of the oldest session.
	Oldest bool
	// Strict refuses newcomers while the store is away; else each node counts its own.
	Strict bool
}

// Config configures a [Member].
type Config struct {
	// Node is the node's name: no two running nodes have one name.
	Node string
	// Store holds what the nodes share.
	Store Store
	// Folder keeps a copy on disk, "" for none.
	Folder string
	// Slots is the size of the pool of addresses, 0 for none; Pool describes it, the same on all nodes.
	Slots int
	Pool  string
	// PageSize is how many slots share a record, the same on all nodes; 0 means 256. Tests have smaller ones.
	PageSize int
	Limit    Limit
	// LeaseTime is how long an address waits for its client before another gets it; 0 means an hour.
	LeaseTime time.Duration
	// Alone says that no other node can have clients yet: a new store needs no time to be filled.
	Alone     bool
	Addresses []string
	Version   string
	Host      Host
	// Log takes lines for people; may be nil.
	Log func(format string, args ...any)
}

// A Member is one node's part in the fleet. It is safe for concurrent use.
//
// A node owns the truth about its sessions. For each key of the store it knows what the record has to be, and writes until the
// store agrees: after a write whose outcome is not known, after a partition, and in a new store alike.
type Member struct {
	cfg    Config
	geo    geometry
	epoch  string
	folder *folder
	work   *queue
	pages  *pageWriter
	soon   chan struct{} // the record is renewed at once: an order was carried out

	mu       sync.Mutex // guards what follows
	mirror   *mirror
	sessions map[uint64]*session
	byName   map[string]*session   // by what the records call it
	ofOne    map[string][]*session // by identity
	begun    uint64                // sessions so far
	bySlot   map[int]*session
	places   map[string]*session // by key
	unsure   map[string]uint64   // by key of a place: the revision that a write replaces which may be on its way
	leaving  map[int]uint64      // slots of sessions that the host is about to end
	trying   map[int]struct{}    // slots that a login is about to write
	burnt    map[int]uint64      // slots of the slice about which a write may be on its way, and the revision it replaces
	cleanly  map[string]struct{} // sessions that ended with a goodbye
	carried  map[string]struct{} // ids of orders
	stock    *stock
	fences   bool  // some session may have one
	slice    int   // -1 without one
	fresh    int   // where the search for a slot that nobody had goes on
	out      error // why the node is no part of the fleet any more
	waits    error // why it is none yet: the fleet has another pool
	joined   bool
	store    string    // identity of the store that the node joined last
	away     bool      // the store did not answer last
	renewed  time.Time // when the last write of the node's record began
	synced   time.Time // the copy was complete then or later
	seenNew  chan struct{}
	draining bool
	beat     uint64
	refill   refill // for a new store
	userTurn map[string]*turn
	words    map[string]*word // by key: what this node was told, and the store has not heard of
	messages int              // that the store was asked, for tests
}

// New makes a member. It reads the folder's copy, so that clients are served while the store is away.
func New(cfg Config) (*Member, error) {
	if cfg.LeaseTime == 0 {
		cfg.LeaseTime = DefaultLeaseTime
	}
	if cfg.Log == nil {
		cfg.Log = func(string, ...any) {}
	}
	if len(Key(cfg.Node)) > 64 || cfg.Node == "" {
		return nil, fmt.Errorf("the node's name %q is not of 1 to 64 letters, digits, '-' or '_'", cfg.Node)
	}
	var id [8]byte
	rand.Read(id[:])
	geo := newGeometry(cfg.Slots, cfg.PageSize)
	m := &Member{
		cfg: cfg, geo: geo, epoch: hex.EncodeToString(id[:]), work: newQueue(), pages: newPageWriter(geo), soon: make(chan struct{}, 1), mirror: newMirror(geo), stock: newStock(cfg.Node, geo),
		sessions: make(map[uint64]*session), byName: make(map[string]*session), ofOne: make(map[string][]*session), bySlot: make(map[int]*session), places: make(map[string]*session), unsure: make(map[string]uint64), leaving: make(map[int]uint64), trying: make(map[int]struct{}), burnt: make(map[int]uint64),
		cleanly: make(map[string]struct{}), carried: make(map[string]struct{}), slice: -1, away: true, seenNew: make(chan struct{}), userTurn: make(map[string]*turn), words: make(map[string]*word),
	}
	if cfg.Folder != "" {
		if err := m.restore(); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// SetLimit puts a limit in force, for logins from now on: nobody is ended by it.
func (m *Member) SetLimit(l Limit) {
	m.mu.Lock()
	defer m.mu.Unlock()
	single := m.cfg.Limit.Single
	m.cfg.Limit = l
	if !single || l.Max == 0 {
		return
	}
	for _, s := range m.sessions { // they have needed no place
		if s.late = s.place < 0; s.late {
			m.wanted(s)
		}
	}
}

// Run keeps the node in the fleet until ctx ends or the node is no part of it any more.
func (m *Member) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for range settlers {
		wg.Go(func() { m.work.run(ctx, m.settle) })
	}
	wg.Go(func() { m.pages.run(ctx, m.writePage) })
	wg.Go(func() { m.keepFolder(ctx) })
	watch := func() (stop func()) {
		ctx, cancel := context.WithCancel(ctx)
		changes := m.cfg.Store.Watch(ctx, "")
		wg.Go(func() {
			for c := range changes {
				m.take(c)
			}
		})
		return cancel
	}
	unwatch := watch()
	defer func() { unwatch() }()
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	whole := time.Now()
	var memory rest
	for {
		err := m.round(ctx)
		if fatal := new(outError); errors.As(err, &fatal) {
			m.mu.Lock()
			m.out = fatal
			m.mu.Unlock()
			return fatal
		}
		if err == nil && m.isSynced(ctx) {
			whole = time.Now()
		} else if time.Since(whole) >= reconcileEvery && err == nil {
			unwatch() // it may stand still
			unwatch = watch()
			if m.readAll(ctx, true) == nil {
				whole = time.Now()
			}
		}
		m.endUnsure(time.Now())
		m.tidySlice(time.Now())
		m.handBack(time.Now())
		m.clearOrders(ctx)
		memory.look(time.Now())
		select {
		case <-tick.C:
		case <-m.soon:
		case <-ctx.Done():
			return nil
		}
	}
}

// round renews the node's record, or makes it first. Without an error the node has just written.
func (m *Member) round(ctx context.Context) error {
	m.mu.Lock()
	if id := as[identityOfStore](m.mirror.records[kindStore]); m.joined && id != nil && !m.has(id) {
		m.giveUpPool()
	}
	joined := m.joined
	m.mu.Unlock()
	if !joined {
		return m.join(ctx)
	}
	err := m.renew(ctx)
	switch {
	case errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound):
		return m.whoseRecord(ctx)
	case errors.Is(err, ErrUnknown):
		_ = m.refresh(ctx, nodeKey(m.cfg.Node)) // it may have landed
	}
	return err
}

// outError says for good why a node is no part of the fleet.
type outError struct{ why string }

func (e *outError) Error() string        { return e.why }
func (e *outError) Is(target error) bool { return target == ErrOut }

// call asks the store within a limit, and notes whether it is away.
func (m *Member) call(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	err := f(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.messages++
	was := m.away
	m.away = errors.Is(err, ErrAway) || errors.Is(err, ErrUnknown) || errors.Is(err, context.DeadlineExceeded)
	if was && !m.away {
		m.work.retry()
	}
	return err
}

// record is the node's own record, with the next beat.
func (m *Member) record() *Node {
	m.beat++
	return &Node{
		Epoch: m.epoch, Beat: m.beat, Draining: m.draining, Sessions: len(m.sessions), Done: m.mirror.seen, Addresses: m.cfg.Addresses, Version: m.cfg.Version, Pool: m.cfg.Pool,
	}
}

// renew says that the node is alive.
func (m *Member) renew(ctx context.Context) error {
	key := nodeKey(m.cfg.Node)
	m.mu.Lock()
	e := m.mirror.records[key]
	n := as[Node](e)
	value := encode(m.record())
	m.mu.Unlock()
	if n == nil || n.Epoch != m.epoch {
		return ErrConflict
	}
	began := time.Now()
	err := m.update(ctx, key, value, e.Revision)
	m.hasRenewed(began, err)
	return err
}

// hasRenewed notes a write of the node's record that began at a time.
func (m *Member) hasRenewed(began time.Time, err error) {
	if err == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.renewed = began
	}
}

// isSynced waits a moment for the watch to bring all that was written before the node's record, which the node has just renewed: a majority has taken that
// after all the rest. What an old leader says, who has not heard yet of the one after it, counts for nothing.
func (m *Member) isSynced(ctx context.Context) bool {
	m.mu.Lock()
	head, began := revisionOf(m.mirror.records[nodeKey(m.cfg.Node)]), m.renewed
	m.mu.Unlock()
	limit := time.NewTimer(time.Second)
	defer limit.Stop()
	for {
		m.mu.Lock()
		ok, news := m.mirror.seen >= head, m.seenNew
		if ok {
			m.synced = began
		}
		m.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-news:
		case <-limit.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// readAll reads the whole store. written says that the node has just written, as isSynced wants it.
func (m *Member) readAll(ctx context.Context, written bool) error {
	began := time.Now()
	var head uint64
	var list []Record
	err := m.call(ctx, func(ctx context.Context) (err error) {
		head, err = m.cfg.Store.Head(ctx)
		return err
	})
	if err == nil {
		err = m.call(ctx, func(ctx context.Context) (err error) {
			list, err = m.cfg.Store.List(ctx, "")
			return err
		})
	}
	if err != nil {
		return err
	}
	there := make(map[string]struct{}, len(list))
	for _, r := range list {
		there[r.Key] = struct{}{}
		m.take(Change{Record: r})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for key, e := range m.mirror.records {
		if _, ok := there[key]; !ok && e.Revision <= head {
			m.forget(key, now)
		}
	}
	for n, p := range m.mirror.pages {
		if _, ok := there[pageKey(n)]; !ok && p.revision <= head {
			m.forgetPage(n)
		}
	}
	clear(m.mirror.graves)
	m.mirror.skipTo(head)
	if written {
		m.synced = began
	}
	m.requeue()
	return nil
}

// take takes in a change of the store and acts on it.
func (m *Member) take(c Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.learn(c)
}

// learn is take for a caller that holds the lock.
func (m *Member) learn(c Change) {
	if n, ok := pageNumber(c.Key); ok {
		if c.Revision <= m.mirror.revisionOfPage(n) { // the watch brings what this node wrote, too
			m.mirror.noteSeen(c.Revision)
			m.sawNews()
			return
		}
		p := m.pages.sent(n, c.Value)
		var err error
		if p == nil {
			p, err = decodePage(m.geo.firstOf(n), m.geo.page, c.Value)
		}
		if err != nil { // of nobody: the next that is written here takes its place
			p, _ = m.mirror.page(n)
		}
		m.learnPage(n, c.Revision, p)
		return
	}
	news := m.mirror.apply(c, time.Now())
	m.sawNews()
	if !news {
		return
	}
	m.folder.changed(c)
	m.react(c.Key)
}

// learnPage takes in a page of the store and acts on it.
func (m *Member) learnPage(n int, rev uint64, p *page) {
	news := m.mirror.turn(n, rev, p, time.Now())
	m.sawNews()
	for _, slot := range news {
		m.folder.leased(slot, p.leases[m.geo.inPage(slot)])
		m.reactLease(slot)
	}
}

// forgetPage takes out the leases of a page that the store does not have.
func (m *Member) forgetPage(n int) {
	for slot := m.geo.firstOf(n); slot < m.geo.firstOf(n+1); slot++ {
		if m.mirror.leases[slot] != nil {
			m.mirror.lease(slot, revised{}, time.Time{})
			m.folder.leased(slot, revised{})
			m.reactLease(slot)
		}
	}
	delete(m.mirror.pages, n)
}

// sawNews wakes those who wait for a revision.
func (m *Member) sawNews() {
	close(m.seenNew)
	m.seenNew = make(chan struct{})
}

// forget takes a record out that the store does not have any more.
func (m *Member) forget(key string, now time.Time) {
	e := m.mirror.records[key]
	if e == nil {
		return
	}
	m.mirror.set(key, nil)
	m.mirror.watchHolders(key, e, nil, now)
	m.folder.changed(Change{Record: Record{Key: key}, Deleted: true})
	m.react(key)
}

// refresh reads one record.
func (m *Member) refresh(ctx context.Context, key string) error {
	var r Record
	page, isPage := pageNumber(key)
	m.mu.Lock()
	had, hadPage := m.mirror.records[key], m.mirror.revisionOfPage(page)
	m.mu.Unlock()
	err := m.call(ctx, func(ctx context.Context) (err error) {
		r, err = m.cfg.Store.Get(ctx, key)
		return err
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err == nil:
		m.learn(Change{Record: r})
	case errors.Is(err, ErrNotFound) && isPage:
		if m.mirror.revisionOfPage(page) == hadPage {
			m.forgetPage(page)
		}
	case errors.Is(err, ErrNotFound) && m.mirror.records[key] == had:
		m.forget(key, time.Now())
	}
	return err
}

// create, update and remove write a record and take it in.
func (m *Member) create(ctx context.Context, key string, value []byte) error {
	return m.write(ctx, key, value, func(ctx context.Context) (uint64, error) { return m.cfg.Store.Create(ctx, key, value) })
}

func (m *Member) update(ctx context.Context, key string, value []byte, last uint64) error {
	return m.write(ctx, key, value, func(ctx context.Context) (uint64, error) { return m.cfg.Store.Update(ctx, key, value, last) })
}

func (m *Member) write(ctx context.Context, key string, value []byte, f func(context.Context) (uint64, error)) error {
	var rev uint64
	err := m.call(ctx, func(ctx context.Context) (err error) {
		rev, err = f(ctx)
		return err
	})
	if err == nil {
		m.take(Change{Record: Record{Key: key, Value: value, Revision: rev}})
	}
	return err
}

func (m *Member) remove(ctx context.Context, key string, last uint64) error {
	err := m.call(ctx, func(ctx context.Context) error { return m.cfg.Store.Delete(ctx, key, last) })
	if err == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.mirror.buried(key, last, time.Now())
		m.folder.changed(Change{Record: Record{Key: key}, Deleted: true})
	}
	return err
}
