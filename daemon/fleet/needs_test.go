package fleet

import "testing"

// A node keeps a page while it has slots of it in stock, or one has a client that the store has not heard of, who may be on the way out.
func TestNeeds(t *testing.T) {
	for name, change := range map[string]func(m *Member, p *page){
		"nothing":             func(*Member, *page) {},
		"a claim":             func(m *Member, _ *page) { m.stock.claim = 1 },
		"a stock":             func(m *Member, _ *page) { m.stock.slots = []int{4, 9} },
		"a client":            func(m *Member, _ *page) { m.bySlot[5] = &session{slot: 5} },
		"one that goes":       func(m *Member, _ *page) { m.leaving[6] = 1 },
		"nothing, other page": func(m *Member, _ *page) { m.stock.slots, m.bySlot[10], m.leaving[4] = []int{4}, &session{slot: 10}, 1 },
		"nothing, written":    func(m *Member, p *page) { m.bySlot[5] = &session{slot: 5}; p.leases[0].lease = new(Lease) },
	} {
		t.Run(name, func(t *testing.T) {
			m, err := New(Config{Node: "a", Slots: 100, PageSize: 5})
			if err != nil {
				t.Fatal(err)
			}
			p := &page{leases: make([]revised, 5)}
			change(m, p)
			if got, want := m.needs(1, p), name[:2] != "no"; got != want {
				t.Errorf("it says %v", got)
			}
		})
	}
}
