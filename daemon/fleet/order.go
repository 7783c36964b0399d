package fleet

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// refuses says why a client may not come in.
func (m *Member) refuses(c *Client) error {
	if m.out != nil {
		return fmt.Errorf("%w: %w", ErrOut, m.out)
	}
	if r := as[Revocation](m.current(revokedKey(c.Serial))); r != nil && c.Serial != "" {
		return fmt.Errorf("%w%s", ErrRevoked, reasonOf(r.Reason))
	}
	if m.draining {
		return ErrDraining
	}
	for _, b := range []Ban{{User: c.Account}, {CommonName: c.CommonName}} {
		if b.User == "" && b.CommonName == "" {
			continue
		}
		if ban := as[Ban](m.current(b.key())); ban.inForce(time.Now()) {
			return fmt.Errorf("%w%s", ErrBanned, reasonOf(ban.Reason))
		}
	}
	return nil
}

func reasonOf(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

func (b *Ban) inForce(now time.Time) bool {
	return b != nil && (b.Until.IsZero() || now.Before(b.Until))
}

// expelBanned ends the clients of a ban.
func (m *Member) expelBanned(b *Ban) {
	if !b.inForce(time.Now()) {
		return
	}
	for _, s := range m.sessions {
		if s.named(b.User, b.CommonName) {
			m.expel(s, Banned)
		}
	}
}

// carryOut does once what an order asks for.
func (m *Member) carryOut(o *Order) {
	if o == nil {
		return
	}
	if _, ok := m.carried[o.ID]; ok {
		return
	}
	m.carried[o.ID] = struct{}{}
	select {
	case m.soon <- struct{}{}:
	default:
	}
	if o.Kind != OrderKill {
		return // of a node with a newer program
	}
	for _, s := range m.sessions {
		if s.named(o.User, o.CommonName) {
			m.expel(s, Killed)
		}
	}
}

// Order gives an order to all nodes and returns its id. It is carried out here at once. Nodes out of reach carry it out when they
// are back: while the store is away, the error is ErrAway, and the order is written later.
func (m *Member) Order(ctx context.Context, o Order) (id string, err error) {
	if o.Kind == OrderKill && o.User == "" && o.CommonName == "" {
		return "", errors.New("a kill needs a user or a common name")
	}
	var b [8]byte
	rand.Read(b[:])
	o.ID = hex.EncodeToString(b[:])
	m.mu.Lock()
	m.carryOut(&o)
	m.mu.Unlock()
	return o.ID, m.tell(ctx, Key(kindOrder, o.ID), encode(o))
}

// Ban keeps a user or a common name out of all nodes, and ends its sessions.
func (m *Member) Ban(ctx context.Context, b Ban) error {
	if (b.User == "") == (b.CommonName == "") {
		return errors.New("a ban is of a user or of a common name")
	}
	return m.tell(ctx, b.key(), encode(b))
}

// Unban lets a user or a common name in again.
func (m *Member) Unban(ctx context.Context, b Ban) error {
	return m.untell(ctx, b.key())
}

// untell deletes a record of [Member.tell].
func (m *Member) untell(ctx context.Context, key string) error {
	err := m.refresh(ctx, key)
	m.mu.Lock()
	e := m.mirror.records[key]
	if err == nil || errors.Is(err, ErrNotFound) {
		if m.untold[key] != nil {
			err = nil // it is taken back before the store has heard of it
		}
		delete(m.untold, key)
	}
	m.mu.Unlock()
	if err == nil && e != nil {
		err = m.remove(ctx, key, e.Revision)
	}
	return err
}

// tell makes a record hold at this node at once, and writes it in the place of the one before, now or when the store is back.
func (m *Member) tell(ctx context.Context, key string, value []byte) error {
	r := Record{Key: key, Value: value}
	e := &entry{Record: r, value: m.mirror.parse(r)}
	m.mu.Lock()
	m.untold[key] = e
	m.expelBanned(as[Ban](e))
	m.expelRevoked(as[Revocation](e))
	m.mu.Unlock()
	err := m.writeUntold(ctx, e)
	if errors.Is(err, ErrAway) || errors.Is(err, ErrUnknown) {
		waits := m.work.start(func(ctx context.Context) error {
			if err := m.writeUntold(ctx, e); err != nil {
				_ = pause(ctx, time.Second)
				return err
			}
			return nil
		})
		if !waits {
			m.told(e)
			return fmt.Errorf("%d orders wait for the fleet's store already", jobsMost)
		}
		return ErrAway
	}
	if err != nil {
		m.told(e)
	}
	return err
}

// writeUntold writes an untold record, unless another word of this node about it came after it.
func (m *Member) writeUntold(ctx context.Context, e *entry) error {
	m.mu.Lock()
	stale := m.untold[e.Key] != e
	m.mu.Unlock()
	if stale {
		return nil
	}
	err := m.replace(ctx, e.Key, e.Value)
	if err == nil {
		m.told(e)
	}
	return err
}

// told forgets an untold record.
func (m *Member) told(e *entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.untold[e.Key] == e {
		delete(m.untold, e.Key)
	}
}

func (m *Member) replace(ctx context.Context, key string, value []byte) error {
	for ctx.Err() == nil {
		m.mu.Lock()
		e := m.mirror.records[key]
		m.mu.Unlock()
		var err error
		switch {
		case e == nil:
			err = m.create(ctx, key, value)
		case string(e.Value) == string(value):
			return nil
		default:
			err = m.update(ctx, key, value, e.Revision)
		}
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err := m.refresh(ctx, key); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return ErrAway
}

// SetDraining says whether the node takes newcomers. Others see it with the next renewal.
func (m *Member) SetDraining(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.draining = on
}

// Leave takes a node out of the fleet for good, after which its addresses are over. A node that is alive ends its part.
func (m *Member) Leave(ctx context.Context, node string) error {
	key := nodeKey(node)
	for {
		err := m.refresh(ctx, key)
		if err != nil {
			return err
		}
		m.mu.Lock()
		e := m.mirror.records[key]
		m.mu.Unlock()
		if e == nil {
			return ErrNotFound
		}
		if err := m.remove(ctx, key, e.Revision); !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

// orderKept is how long an order is kept for nodes out of reach.
const orderKept = 24 * time.Hour

// clearOrders deletes the orders that every node has carried out, and old ones.
func (m *Member) clearOrders(ctx context.Context) {
	type done struct {
		key string
		rev uint64
	}
	var list []done
	m.mu.Lock()
	if m.joined && !m.away {
		for _, e := range m.mirror.below(kindOrder) {
			if len(m.missing(e.Revision)) == 0 && time.Since(e.at) > time.Minute || time.Since(e.at) > orderKept {
				list = append(list, done{e.Key, e.Revision})
			}
		}
	}
	m.mu.Unlock()
	for _, d := range list {
		if err := m.remove(ctx, d.key, d.rev); errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) {
			_ = m.refresh(ctx, d.key)
		} else if err != nil {
			return
		}
	}
}

// missing names the nodes that have not carried out what was ordered at a revision.
func (m *Member) missing(rev uint64) []string {
	var list []string
	for _, e := range m.mirror.below(kindNode) {
		name, _ := Segments(strings.TrimPrefix(e.Key, kindNode+"."))
		if n := as[Node](e); n.Done < rev && name[0] != m.cfg.Node {
			list = append(list, name[0])
		}
	}
	return list
}

// Missing names the nodes that have not carried out an order yet; all others when the order is not written yet.
func (m *Member) Missing(order string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	rev := ^uint64(0)
	if e := m.mirror.records[Key(kindOrder, order)]; e != nil {
		rev = e.Revision
	}
	list := m.missing(rev)
	slices.Sort(list)
	return list
}
