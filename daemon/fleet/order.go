package fleet

import (
	"cmp"
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
	if why := cmp.Or(m.out, m.waits); why != nil {
		return fmt.Errorf("%w: %w", ErrOut, why)
	}
	if r := m.revocation(c.Serial); r != nil {
		return fmt.Errorf("%w%s", ErrRevoked, reasonOf(r.Reason))
	}
	if m.draining {
		return ErrDraining
	}
	if m.none(kindBan) {
		return nil
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

// revocation is that of a certificate, by its serial number, nil for none.
func (m *Member) revocation(serial string) *Revocation {
	if serial == "" || m.none(kindRevoked) {
		return nil
	}
	return as[Revocation](m.current(revokedKey(serial)))
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
// are back: while the store is away, the error is ErrLater, and the order is written later.
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

// Unban lets a user or a common name in again, or returns ErrNotFound. After ErrLater it does so here, and at the others when the store is back.
func (m *Member) Unban(ctx context.Context, b Ban) error {
	return m.untell(ctx, b.key())
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
