package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
)

// heard is a host that writes down what it hears.
type heard struct{ lines chan string }

func (h *heard) NodeUp(n *Node)   { h.lines <- "up " + n.Name }
func (h *heard) NodeDown(n *Node) { h.lines <- "down " + n.Name }
func (h *heard) Ways(list []Way) {
	var words []string
	for _, w := range list {
		to := "nowhere"
		if w.Node != nil {
			to = w.Node.Name
		}
		words = append(words, w.Prefix.String()+" "+to)
	}
	slices.Sort(words)
	h.lines <- strings.Join(words, ", ")
}

func (h *heard) next(t *testing.T) string {
	t.Helper()
	select {
	case l := <-h.lines:
		return l
	case <-time.After(15 * time.Second):
		t.Fatal("nothing was heard")
		return ""
	}
}

// Of several nodes with one prefix that counts to which the client came last; when it goes, the one before.
func TestWays(t *testing.T) {
	h := &heard{make(chan string, 100)}
	w := newWays(h)
	nodes := map[string]*Node{"a": {Name: "a"}, "b": {Name: "b"}}
	p := netip.MustParsePrefix("10.8.0.5/32")
	at := func(p netip.Prefix, came int64) line { return line{Here: []here{{p, 1000_000 - 1000*came}}} }
	gone := line{Gone: []netip.Prefix{p}}
	for _, step := range []struct {
		node string
		line line
		want string // "" for nothing
	}{
		{"a", at(p, 100), "10.8.0.5/32 a"},
		{"a", at(p, 100), ""},
		{"b", at(p, 200), "10.8.0.5/32 b"},
		{"a", at(p, 150), ""},
		{"b", gone, "10.8.0.5/32 a"},
		{"b", gone, ""},
		{"b", at(p, 300), "10.8.0.5/32 b"},
		{"a", gone, ""},
		{"b", gone, "10.8.0.5/32 nowhere"},
		{"a", line{}, ""},
	} {
		if err := w.take(nodes[step.node], step.line); err != nil {
			t.Fatal(err)
		}
		got := ""
		if len(h.lines) > 0 {
			got = <-h.lines
		}
		if got != step.want {
			t.Errorf("%s says %+v: %q, want %q", step.node, step.line, got, step.want)
		}
	}
	for _, bad := range []string{"0.0.0.0/0", "::/0", "224.0.0.5/32", "ff02::1/128", "10.8.0.5/24"} {
		if err := w.take(nodes["a"], at(netip.MustParsePrefix(bad), 1)); err == nil {
			t.Errorf("%s was believed", bad)
		}
	}
	if err := w.take(nodes["a"], at(netip.Prefix{}, 1)); err == nil {
		t.Error("no prefix at all was believed")
	}
}

func TestWaysOfOneNodeAreLimited(t *testing.T) {
	w := newWays(&heard{make(chan string, WaysMost+2)})
	n := &Node{Name: "a"}
	w.up(n)
	for i := range WaysMost + 1 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
		err := w.take(n, line{Here: []here{{p, 1}}})
		if full := i >= WaysMost; (err != nil) != full {
			t.Fatalf("prefix %d: %v", i, err)
		}
	}
}

// pair is two relays that reach each other over TLS.
func pair(t *testing.T) (a, b *Relay, of map[string]*heard) {
	t.Helper()
	ca, err := pki.NewCA("nodes")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(pki.Spec{Name: "node", Server: true})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(leaf.CertPEM, leaf.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.PEM)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	of = map[string]*heard{"a": {make(chan string, 100)}, "b": {make(chan string, 100)}}
	open := func(name, other string, dial func(*tls.Config) (net.Conn, *tls.ConnectionState, error)) *Relay {
		r, err := Open(Config{
			Name: name, Listen: netip.MustParseAddrPort("127.0.0.1:0"), Others: func() []string { return []string{other} }, Host: of[name], Log: daemontest.LogTo(t, 5),
			Dial: func(context.Context, string) (net.Conn, *tls.ConnectionState, error) {
				return dial(&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool, InsecureSkipVerify: true}) //nolint:gosec // names are the caller's business
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return r
	}
	b = open("b", "a", func(*tls.Config) (net.Conn, *tls.ConnectionState, error) { return nil, nil, fmt.Errorf("b opens none") })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			c := nc.(*tls.Conn)
			if c.Handshake() == nil {
				state := c.ConnectionState()
				go b.Accept(c, &state, "a")
			}
		}
	}()
	a = open("a", "b", func(conf *tls.Config) (net.Conn, *tls.ConnectionState, error) {
		c, err := tls.Dial("tcp", ln.Addr().String(), conf)
		if err != nil {
			return nil, nil, err
		}
		state := c.ConnectionState()
		return c, &state, nil
	})
	return a, b, of
}

// Two nodes hear of each other's clients, and of their end with the node; packets of one open at the other alone, and once.
func TestNodesHearOfEachOther(t *testing.T) {
	a, b, of := pair(t)
	want := func(node, line string) {
		t.Helper()
		if got := of[node].next(t); got != line {
			t.Errorf("%s hears %q, want %q", node, got, line)
		}
	}
	want("a", "up b")
	want("b", "up a")
	a.Here(netip.MustParsePrefix("10.8.0.2/32"))
	want("b", "10.8.0.2/32 a")
	b.Here(netip.MustParsePrefix("fd00::7/128"))
	want("a", "fd00::7/128 b")
	a.Gone(netip.MustParsePrefix("10.8.0.2/32"))
	want("b", "10.8.0.2/32 nowhere")

	toB, toA := a.conns["b"].node, b.conns["a"].node
	payload := append([]byte{0x45}, make([]byte, 99)...)
	pkt, err := toB.Out.Seal(nil, payload, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := toB.In.Open(slices.Clone(pkt), time.Now()); err == nil {
		t.Error("a node opened its own packet")
	}
	replay := slices.Clone(pkt)
	got, _, err := toA.In.Open(pkt, time.Now())
	if err != nil || !cmp.Equal(got, payload) {
		t.Errorf("the other node has %d bytes, %v", len(got), err)
	}
	if _, _, err := toA.In.Open(replay, time.Now()); err == nil {
		t.Error("a packet was taken twice")
	}

	b.Close()
	want("a", "fd00::7/128 nowhere")
	want("a", "down b")
}
