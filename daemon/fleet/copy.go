package fleet

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// entry is a record as a node has it. A node has some for each client of the fleet, so it is small: the bytes of a record are made of its value when
// they are needed.
type entry struct {
	Key      string // "" of a lease, which has its slot
	Revision uint64
	value    any    // of the record's type
	raw      []byte // the bytes, of a record that this program would write otherwise
	// at is when the node first saw this revision, by its own clock.
	at time.Time
	// over is when the node first saw that the holder of a lease is over for good; zero while it may go on.
	over time.Time
}

// bytes are the record's.
func (e *entry) bytes() []byte {
	if e.raw != nil {
		return e.raw
	}
	return encode(e.value)
}

// newEntry makes an entry of a record whose type is known.
func newEntry(r Record, value any, at time.Time) *entry {
	e := &entry{Key: r.Key, Revision: r.Revision, value: value, at: at}
	if !bytes.Equal(r.Value, encode(value)) {
		e.raw = r.Value
	}
	return e
}

// as is the value of an entry that may be nil.
func as[T any](e *entry) *T {
	if e == nil {
		return nil
	}
	v, _ := e.value.(*T)
	return v
}

// pageEntry is a page as a node has it, but for its leases.
type pageEntry struct {
	revision uint64 // 0 for one that is not in the store
	owner    run
	leases   int // how many it has
}

// mirror is a node's own copy of the store.
type mirror struct {
	geo        geometry
	records    map[string]*entry // but for pages
	kinds      map[string]int    // how many records there are, by kind
	pages      map[int]*pageEntry
	leases     map[int]*entry    // by slot
	byIdentity map[string][]int  // slots of leases; none of those without an identity, which are like no other
	names      map[string]string // of nodes
	graves     map[string]uint64 // the revision at which this node deleted a record
	places     int               // no user ever had this place or a higher one
	// Every revision up to seen is known; those in ahead too. The newest may be beyond.
	seen   uint64
	ahead  map[uint64]struct{}
	newest uint64
}

func newMirror(geo geometry) *mirror {
	return &mirror{
		geo: geo, records: make(map[string]*entry), kinds: make(map[string]int), pages: make(map[int]*pageEntry), leases: make(map[int]*entry), byIdentity: make(map[string][]int), names: make(map[string]string),
		graves: make(map[string]uint64), ahead: make(map[uint64]struct{}),
	}
}

// set puts a record in the place of the one of a key; nil takes it away.
func (m *mirror) set(key string, e *entry) {
	kind, _, _ := strings.Cut(key, ".")
	if m.records[key] != nil {
		m.kinds[kind]--
	}
	if e == nil {
		delete(m.records, key)
		return
	}
	m.records[key] = e
	m.kinds[kind]++
}

// noteSeen notes that a revision is known.
func (m *mirror) noteSeen(rev uint64) {
	m.newest = max(m.newest, rev)
	if rev <= m.seen {
		return
	}
	m.ahead[rev] = struct{}{}
	for {
		if _, ok := m.ahead[m.seen+1]; !ok {
			return
		}
		m.seen++
		delete(m.ahead, m.seen)
	}
}

// skipTo notes that all revisions up to rev are known: a list read after rev was the newest has their outcome.
func (m *mirror) skipTo(rev uint64) {
	m.newest = max(m.newest, rev)
	if rev <= m.seen {
		return
	}
	m.seen = rev
	maps.DeleteFunc(m.ahead, func(r uint64, _ struct{}) bool { return r <= rev })
	if _, ok := m.ahead[rev+1]; ok {
		delete(m.ahead, rev+1)
		m.noteSeen(rev + 1)
	}
}

// apply takes in a change of anything but a page, and reports whether it is news. Changes may come late, and twice.
func (m *mirror) apply(c Change, now time.Time) bool {
	m.noteSeen(c.Revision)
	old := m.records[c.Key]
	switch {
	case old != nil && c.Revision <= old.Revision:
		return false
	case c.Deleted:
		delete(m.graves, c.Key)
		m.set(c.Key, nil)
		m.watchHolders(c.Key, old, nil, now)
		return old != nil
	case m.graves[c.Key] >= c.Revision && m.graves[c.Key] > 0:
		return false
	}
	value := parse(c.Record)
	if value == nil {
		return false
	}
	e := newEntry(c.Record, value, now)
	m.set(c.Key, e)
	if p := as[Place](e); p != nil {
		m.share(&p.Holder)
		m.places = max(m.places, placeOf(c.Key)+1)
	}
	m.watchHolders(c.Key, old, e, now)
	return true
}

// turn takes in a page that is at a revision, and returns the slots whose leases are news. Pages may come late, and twice.
func (m *mirror) turn(n int, rev uint64, p *page, now time.Time) (news []int) {
	m.noteSeen(rev)
	here := m.entryOf(n)
	if rev <= here.revision {
		return nil
	}
	here.revision, here.owner = rev, p.owner
	for i, r := range p.leases {
		slot := m.geo.firstOf(n) + i
		if e := m.leases[slot]; revisionOf(e) != r.revision {
			m.lease(slot, r, now)
			news = append(news, slot)
		}
	}
	return news
}

// entryOf is the entry of a page, which is made if there is none.
func (m *mirror) entryOf(n int) *pageEntry {
	e := m.pages[n]
	if e == nil {
		e = new(pageEntry)
		m.pages[n] = e
	}
	return e
}

// page is a page as it is here, and its revision.
func (m *mirror) page(n int) (*page, uint64) {
	here := m.entryOf(n)
	p := &page{owner: here.owner, leases: make([]revised, m.geo.page)}
	for i := range p.leases {
		if e := m.leases[m.geo.firstOf(n)+i]; e != nil {
			p.leases[i] = revised{as[Lease](e), e.Revision}
		}
	}
	return p, here.revision
}

// revisionOfPage is 0 for a page that is not in the store.
func (m *mirror) revisionOfPage(n int) uint64 {
	if e := m.pages[n]; e != nil {
		return e.revision
	}
	return 0
}

// ownerOf is the run that owns a page, the zero run for none: a run that is over owns nothing. One that is not known may just have begun, as long as
// something is missing of what was written before the page.
func (m *mirror) ownerOf(n int) run {
	e := m.pages[n]
	if e == nil || e.owner == (run{}) || m.ended(e.owner) && m.seen >= e.revision {
		return run{}
	}
	return e.owner
}

// lease puts a lease in the place of that of a slot; the zero value takes it away.
func (m *mirror) lease(slot int, r revised, now time.Time) {
	of := m.entryOf(m.geo.pageOf(slot))
	if old := as[Lease](m.leases[slot]); old != nil {
		of.leases--
		delete(m.leases, slot)
		left := slices.DeleteFunc(m.byIdentity[old.Identity], func(n int) bool { return n == slot })
		if m.byIdentity[old.Identity] = left; len(left) == 0 {
			delete(m.byIdentity, old.Identity)
		}
	}
	if r.lease == nil {
		return
	}
	e := &entry{Revision: r.revision, value: r.lease, at: now}
	m.share(&r.lease.Holder)
	of.leases++
	m.leases[slot] = e
	if r.lease.Identity != "" {
		m.byIdentity[r.lease.Identity] = append(m.byIdentity[r.lease.Identity], slot)
	}
	m.watchHolder(e, now)
}

// revisionOf is that of an entry that may be nil: 0 then.
func revisionOf(e *entry) uint64 {
	if e == nil {
		return 0
	}
	return e.Revision
}

// share has a holder use the texts that others of the same session have.
func (m *mirror) share(h *Holder) {
	if name, ok := m.names[h.Node]; ok {
		h.Node = name
	} else {
		m.names[h.Node] = h.Node
	}
	for _, slot := range m.byIdentity[h.Identity] {
		l := as[Lease](m.leases[slot])
		h.Identity = l.Identity
		if h.Mark == l.Mark {
			h.Mark = l.Mark
		}
		if h.Session == l.Session && h.Epoch == l.Epoch {
			h.Session, h.Epoch = l.Session, l.Epoch
		}
	}
	if strings.HasPrefix(h.Session, h.Epoch) {
		h.Epoch = h.Session[:len(h.Epoch)]
	}
}

// buried notes that this node deleted the record that was at revision last.
func (m *mirror) buried(key string, last uint64, now time.Time) {
	if e := m.records[key]; e != nil && e.Revision <= last {
		m.set(key, nil)
		m.graves[key] = last
		m.watchHolders(key, e, nil, now)
	}
}

// parse is the typed value of a record, nil for one that this node does not keep. One that it cannot read is of nobody: it is there, and who holds it
// is over.
func parse(r Record) any {
	kind, _, _ := strings.Cut(r.Key, ".")
	switch kind {
	case kindStore:
		return typed[identityOfStore](r)
	case kindNode:
		return typed[Node](r)
	case kindSlice:
		return typed[Slice](r)
	case kindPlace:
		return typed[Place](r)
	case kindOrder:
		return typed[Order](r)
	case kindBan:
		return typed[Ban](r)
	case kindFile:
		return typed[File](r)
	case kindRevoked:
		return typed[Revocation](r)
	}
	return nil
}

func typed[T any](r Record) any {
	v, ok := decode[T](r)
	if !ok {
		v = *new(T)
	}
	return &v
}

// leaseSlot is the slot of a lease's key; false for a key of something else.
func leaseSlot(key string) (int, bool) {
	rest, ok := strings.CutPrefix(key, kindLease+".")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(rest)
	return n, err == nil
}

// below returns the entries below a prefix, sorted by key.
func (m *mirror) below(prefix string) []*entry {
	var list []*entry
	for key, e := range m.records {
		if strings.HasPrefix(key, prefix+".") {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b *entry) int { return strings.Compare(a.Key, b.Key) })
	return list
}

func (m *mirror) node(name string) *Node { return as[Node](m.records[nodeKey(name)]) }

// over reports whether a holder is over for good: its node runs again, or has left.
func (m *mirror) over(h *Holder) bool { return m.ended(run{h.Node, h.Epoch}) }

// ended reports whether a run of a node is over for good.
func (m *mirror) ended(r run) bool {
	n := m.node(r.Node)
	return n == nil || n.Epoch != r.Epoch
}

// silent reports whether a holder's node has not been heard of for ten seconds. It may still have clients.
func (m *mirror) silent(h *Holder, now time.Time) bool {
	e := m.records[nodeKey(h.Node)]
	return m.over(h) || now.Sub(e.at) >= silence
}

// watchHolder notes whether the holder of a lease is over.
func (m *mirror) watchHolder(e *entry, now time.Time) {
	l := as[Lease](e)
	switch ended := l.Free || m.over(&l.Holder); {
	case !ended:
		e.over = time.Time{}
	case e.over.IsZero():
		e.over = now
	}
}

// watchHolders is watchHolder for the leases of a node that begins, ends or starts again.
func (m *mirror) watchHolders(key string, old, next *entry, now time.Time) {
	name, ok := strings.CutPrefix(key, kindNode+".")
	if before, after := as[Node](old), as[Node](next); !ok || before != nil && after != nil && before.Epoch == after.Epoch {
		return
	}
	for _, e := range m.leases {
		if Key(as[Lease](e).Node) == name {
			m.watchHolder(e, now)
		}
	}
}
