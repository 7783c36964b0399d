package server

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/fleet/relay"
)

// ip4 is an IPv4 packet with the first bytes of what it carries.
func ip4(src, dst string, proto byte, rest ...byte) []byte {
	p := make([]byte, 20, 20+len(rest))
	p[0], p[9] = 0x45, proto
	binary.BigEndian.PutUint16(p[2:], uint16(20+len(rest)))
	s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	copy(p[12:], s[:])
	copy(p[16:], d[:])
	return append(p, rest...)
}

// ip6 is the same with IPv6.
func ip6(src, dst string, next byte, rest ...byte) []byte {
	p := make([]byte, 40, 40+len(rest))
	p[0], p[6] = 0x60, next
	s, d := netip.MustParseAddr(src).As16(), netip.MustParseAddr(dst).As16()
	copy(p[8:], s[:])
	copy(p[24:], d[:])
	return append(p, rest...)
}

// fragment makes a packet one that is not the first of its fragments.
func fragment(p []byte) []byte {
	p[7] = 5
	return p
}

const client, other = "10.8.0.2", "192.0.2.9"

// What a client answers goes back by the node that the question came by, and nothing else does.
func TestFlows(t *testing.T) {
	tcp := []byte{0, 80, 200, 1}
	for _, tt := range []struct {
		name             string
		question, answer []byte
		back             bool
	}{
		{"TCP", ip4(other, client, 6, 200, 1, 0, 80), ip4(client, other, 6, tcp...), true},
		{"UDP over IPv6", ip6("fd00::9", "fd00::2", 17, 1, 2, 3, 4), ip6("fd00::2", "fd00::9", 17, 3, 4, 1, 2), true},
		{"echo", ip4(other, client, 1, 8, 0, 0, 0, 7, 7), ip4(client, other, 1, 0, 0, 0, 0, 7, 7), true},
		{"echo over IPv6", ip6("fd00::9", "fd00::2", 58, 128, 0, 0, 0, 7, 7), ip6("fd00::2", "fd00::9", 58, 129, 0, 0, 0, 7, 7), true},
		{"another protocol", ip4(other, client, 47), ip4(client, other, 47), true},
		{"another port", ip4(other, client, 6, 200, 1, 0, 80), ip4(client, other, 6, 0, 81, 200, 1), false},
		{"another echo", ip4(other, client, 1, 8, 0, 0, 0, 7, 7), ip4(client, other, 1, 0, 0, 0, 0, 7, 8), false},
		{"another protocol than asked", ip4(other, client, 6, 200, 1, 0, 80), ip4(client, other, 17, tcp...), false},
		{"another host", ip4(other, client, 6, 200, 1, 0, 80), ip4(client, "192.0.2.8", 6, tcp...), false},
		{"the client asks", ip4(other, client, 6, 200, 1, 0, 80), ip4(other, client, 6, 200, 1, 0, 80), false},
		{"a later fragment", fragment(ip4(other, client, 6, 200, 1, 0, 80)), ip4(client, other, 6, tcp...), false},
		{"too short for ports", ip4(other, client, 6, 200), ip4(client, other, 6, 1), false},
		{"no packet", []byte{1}, []byte{2}, false},
		{"header longer than the packet", append([]byte{0x4f}, ip4(other, client, 6)[1:]...), ip4(client, other, 6, tcp...), false},
	} {
		var f flows
		node := new(dataPath)
		f.note(tt.question, node, 100)
		if got := f.back(tt.answer, 101) == node; got != tt.back {
			t.Errorf("%s: goes back %v, want %v", tt.name, got, tt.back)
		}
		if f.back(tt.answer, 102+flowIdle) != nil {
			t.Errorf("%s: goes back long after the question", tt.name)
		}
	}
}

// A node has so many conversations and no more; old ones make room, and its end takes them along.
func TestFlowsAreLimited(t *testing.T) {
	var f flows
	a, b := new(dataPath), new(dataPath)
	question := func(n int) []byte { return ip4(other, client, 6, byte(n>>8), byte(n), byte(n>>16), 80) }
	answer := func(n int) []byte { return ip4(client, other, 6, byte(n>>16), 80, byte(n>>8), byte(n)) }
	for n := range flowsMost + 1 {
		f.note(question(n), a, 100)
	}
	if f.back(answer(flowsMost-1), 100) != a || f.back(answer(flowsMost), 100) != nil {
		t.Errorf("of %d conversations the last is not the one that is forgotten", flowsMost+1)
	}
	f.note(question(flowsMost), b, 100)
	if f.back(answer(flowsMost), 100) != b {
		t.Error("one node takes the room of another")
	}
	f.note(question(flowsMost+1), a, 101+flowIdle)
	if f.back(answer(flowsMost+1), 101+flowIdle) != a {
		t.Error("old conversations make no room")
	}
	f.forget(a)
	if f.back(answer(flowsMost+1), 101+flowIdle) != nil {
		t.Error("a conversation outlives its node")
	}
}

// reached writes down what it hears.
type reached []string

func (r *reached) Here(p netip.Prefix) { *r = append(*r, "here "+p.String()) }
func (r *reached) Gone(p netip.Prefix) { *r = append(*r, "gone "+p.String()) }
func (r *reached) Close()              {}

// A client of ours comes before another node's; when it is gone, packets go to the other node again.
func TestOwnClientsComeFirst(t *testing.T) {
	r := newRouting(nil, nil, nil)
	heard := new(reached)
	r.reach = []Reach{heard}
	n, re := &relay.Node{Name: "b", ID: 7}, newRelaying()
	re.nodeUp(&r, n)
	far, own, p, now := r.far.nodes[n], new(dataPath), netip.MustParsePrefix("10.8.0.2/32"), time.Now()
	check := func(what string, want *dataPath) {
		t.Helper()
		if got := r.routes.Owner(p); got != want {
			t.Errorf("%s: leads to %p, want %p", what, got, want)
		}
	}
	r.leadFar(relay.Way{Prefix: p, Node: n}, now)
	check("another node's", far)
	if r.client(p) != nil {
		t.Error("another node counts as a client")
	}
	r.lead(p, own, now)
	check("ours", own)
	r.leadFar(relay.Way{Prefix: p, Node: n}, now)
	check("ours, told again", own)
	r.unlead(p, own, now)
	check("ours has gone", far)
	r.leadFar(relay.Way{Prefix: p}, now)
	check("nobody's", nil)
	r.lead(p, own, now)
	r.leadFar(relay.Way{Prefix: p, Node: n}, now)
	r.leadFar(relay.Way{Prefix: p}, now)
	check("ours, without the other", own)
	second := new(dataPath)
	r.lead(p, second, now)
	r.unlead(p, own, now) // the successor has it
	check("the successor's", second)
	if want := 4; len(*heard) != want {
		t.Errorf("others heard %q, want %d changes", *heard, want)
	}
}

// A packet crosses one node at the most.
func TestRelayedOnce(t *testing.T) {
	r := newRouting(nil, nil, nil)
	re := newRelaying()
	b, c := &relay.Node{Name: "b", ID: 7}, &relay.Node{Name: "c", ID: 8}
	re.nodeUp(&r, b)
	re.nodeUp(&r, c)
	now := time.Now()
	own := new(dataPath)
	r.lead(netip.MustParsePrefix("10.8.0.2/32"), own, now)
	r.leadFar(relay.Way{Prefix: netip.MustParsePrefix("10.8.0.7/32"), Node: b}, now)
	r.leadFar(relay.Way{Prefix: netip.MustParsePrefix("10.8.0.8/32"), Node: c}, now)
	p := &plane{routes: r.routes, relaying: re}
	const device, dropped = "device", "dropped"
	for _, tt := range []struct{ src, dst, want string }{ // from node b
		{"192.0.2.9", "10.8.0.2", "client"},
		{"10.8.0.7", "10.8.0.2", "client"},
		{"10.8.0.7", "192.0.2.9", device},
		{"10.8.0.8", "10.8.0.2", dropped}, // of a third node
		{"10.8.0.2", "192.0.2.9", dropped},
		{"192.0.2.9", "10.8.0.8", dropped}, // it has moved on
		{"192.0.2.9", "10.8.0.7", dropped},
		{"10.8.0.7", "10.8.0.8", dropped},
		{"192.0.2.9", "10.8.0.99", dropped}, // it has left
		{"10.8.0.7", "224.0.0.5", dropped},
	} {
		in := &fromNodes{plane: p, local: sender{plane: p}}
		pkt := ip4(tt.src, tt.dst, 6, 1, 2, 3, 4)
		in.route(r.far.nodes[b], pkt, pkt, now)
		got := dropped
		switch {
		case len(in.device) > 0:
			got = device
		case in.local.to == own:
			got = "client"
		case in.local.to != nil:
			got = "another node"
		}
		if got != tt.want {
			t.Errorf("%s to %s: %s, want %s", tt.src, tt.dst, got, tt.want)
		}
	}
	o := &outbound{plane: p}
	routes := r.routes.Read()
	defer routes.Done()
	for src, goes := range map[string]bool{"192.0.2.9": true, "10.8.0.2": true, "10.8.0.8": false, "10.8.0.7": false} {
		if to, _ := o.receiver(routes, ip4(src, "10.8.0.7", 6), 1); (to != nil) != goes {
			t.Errorf("from the device, %s to the client of another node: goes %v, want %v", src, to != nil, goes)
		}
	}
}
