package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// has reports whether this node has the pool of a store.
func (m *Member) has(id *identityOfStore) bool {
	return id.Pool == m.cfg.Pool && id.Slots == m.cfg.Slots
}

// changePool gives the store this node's pool, once every node has it. Until then it returns an error and the node serves nobody: addresses of two pools
// could be the same. A node that is out of reach counts, because it may have clients; one that was taken out does not.
func (m *Member) changePool(ctx context.Context, id identityOfStore) error {
	m.mu.Lock()
	var others []string
	for _, e := range m.mirror.below(kindNode) {
		n, name := as[Node](e), strings.TrimPrefix(e.Key, kindNode+".")
		if name != Key(m.cfg.Node) && n.Pool != m.cfg.Pool {
			others = append(others, name)
		}
	}
	e := m.mirror.records[kindStore]
	told := m.waits != nil
	if len(others) > 0 || e == nil {
		m.waits = fmt.Errorf("the fleet's addresses are %s, this node's %s; it waits until these nodes have the same: %s", id.Pool, m.cfg.Pool, strings.Join(others, ", "))
	}
	waits := m.waits
	m.mu.Unlock()
	if len(others) > 0 || e == nil {
		if !told {
			m.cfg.Log("fleet: %v", waits)
		}
		return waits
	}
	id.Pool, id.Slots, id.Layout = m.cfg.Pool, m.cfg.Slots, layout
	if err := m.update(ctx, kindStore, encode(id), e.Revision); err != nil {
		if errors.Is(err, ErrConflict) {
			_ = m.refresh(ctx, kindStore) // another node was first: the next round tells
		}
		return err
	}
	m.cfg.Log("fleet: the fleet's addresses are %s from now on", id.Pool)
	return nil
}

// giveUpPool ends what this node serves when the fleet has got another pool: the node had just started when the others changed it.
func (m *Member) giveUpPool() {
	m.joined = false
	for _, s := range slices.Collect(maps.Values(m.sessions)) {
		if s.slot >= 0 {
			m.expel(s, Lost)
		}
	}
}
