package test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/wire"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// clients is how many clients a status report lists.
func clients(t *testing.T, m *client.Client) int {
	t.Helper()
	r, err := m.Cmd(t.Context(), "status 2")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, line := range r.Raw {
		if strings.HasPrefix(line, "CLIENT_LIST,") {
			n++
		}
	}
	return n
}

// hostileLab is a server with a stock client that is connected and watched, and a management client.
func hostileLab(t *testing.T, extra ...string) (*lab, *daemontest.Process, *client.Client, *daemontest.Namespace) {
	t.Helper()
	l := newLab(t)
	sock := l.file("mgmt.sock")
	s := l.ourServer(t, append([]string{"--management", sock, "unix", "--duplicate-cn", "--hand-window", "4", "--verb", "3"}, extra...)...)
	m := manage(t, sock)
	n, server := l.host(t)
	l.stockClientOn(t, n, server)
	return l, s, m, n
}

// A flood of resets from forged addresses leaves no state, little noise, and everybody else in peace.
func TestServerInAFlood(t *testing.T) {
	t.Parallel()
	l, s, m, bystander := hostileLab(t)
	// Any source in 10.77.0.0/16 is the attacker's.
	l.client.Run(t, "ip", "route", "add", "local", "10.77.0.0/16", "dev", "lo")
	l.server.Run(t, "ip", "route", "add", "10.77.0.0/16", "via", "10.99.0.2")
	_, before := used(t, s.PID())
	cpu, _ := used(t, s.PID())
	lines := s.Lines()
	flooded := make(chan error, 1)
	const packets = 20000
	go func() {
		var err error
		l.client.Do(t, func() error { err = flood("10.99.0.1:1194", packets); return nil })
		flooded <- err
	}()
	ping(t, bystander, "10.8.0.1", 200, 2, "0.01")
	if err := <-flooded; err != nil {
		t.Fatal(err)
	}
	cpuAfter, after := used(t, s.PID())
	t.Logf("%d packets of strangers cost %v of processor time and %d KiB", packets, cpuAfter-cpu, (after-before)>>10)
	if grown := after - before; grown > 16<<20 {
		t.Errorf("the server grew by %d bytes", grown)
	}
	if cpuAfter-cpu > 2*time.Second {
		t.Errorf("%d packets of strangers cost %v of processor time", packets, cpuAfter-cpu)
	}
	if n := clients(t, m); n != 1 {
		t.Errorf("%d clients in the report, want the bystander alone", n)
	}
	if n := s.Lines() - lines; n > 200 {
		t.Errorf("%d lines in the log", n)
	}
	terminate(t, s)
}

// flood sends resets, mangled and not, echoes of made-up cookies, soft resets and data, from many addresses.
func flood(server string, packets int) error {
	r := rand.New(rand.NewPCG(1, 2))
	for sent := 0; sent < packets; {
		conn, err := dialFrom(fmt.Sprintf("10.77.%d.%d:%d", r.IntN(256), 1+r.IntN(254), 1024+r.IntN(60000)), server)
		if err != nil {
			continue // the address is taken
		}
		for range 50 {
			_, _ = conn.Write(stranger(r)) // refused, perhaps
			sent++
		}
		conn.Close()
		time.Sleep(2 * time.Millisecond) // beyond that the kernel drops packets of everybody
	}
	return nil
}

// stranger is a packet that somebody without keys can make.
func stranger(r *rand.Rand) []byte {
	var sid, cookie wire.SessionID
	for i := range sid {
		sid[i], cookie[i] = byte(r.Uint32()), byte(r.Uint32())
	}
	pkt := func(op wire.Opcode, keyID uint8, b wire.ControlBody) []byte {
		return b.Append(append([]byte{wire.Header(op, keyID)}, sid[:]...), op)
	}
	switch r.IntN(6) {
	case 0:
		return pkt(wire.OpControlV1, 0, wire.ControlBody{Acks: []uint32{0}, PeerSession: cookie, MsgID: 1, Payload: make([]byte, r.IntN(1000))})
	case 1:
		return pkt(wire.OpControlSoftResetV1, uint8(r.IntN(8)), wire.ControlBody{Acks: []uint32{0}, PeerSession: cookie})
	case 2: // somebody's peer-id
		return append([]byte{wire.Header(wire.OpDataV2, uint8(r.IntN(8))), 0, 0, byte(r.IntN(3))}, make([]byte, 20+r.IntN(1200))...)
	case 3:
		b := make([]byte, r.IntN(1400))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	default:
		return pkt(wire.OpControlHardResetClientV2, 0, wire.ControlBody{})
	}
}

// Clients that return the cookie and then acknowledge nothing are gone when their time is over.
func TestServerWithDeafClients(t *testing.T) {
	t.Parallel()
	l, s, m, bystander := hostileLab(t)
	const n = 50
	var conns []*net.UDPConn
	for range n {
		conns = append(conns, openUDP(t, l.client, "", "10.99.0.1:1194"))
	}
	for _, conn := range conns {
		p, err := l.newPuppet(conn, "V4", usual)
		if err != nil {
			t.Fatal(err)
		}
		defer p.session.Close()
		for !p.deaf {
			// Up to the first flight: the answer to the reset goes in, nothing after it.
			p.session.Step(time.Now())
			p.drain()
			buf := make([]byte, 2048)
			_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			size, err := conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.session.Input(buf[:size], time.Now()); err != nil {
				t.Fatal(err)
			}
			p.deaf = true
		}
		_ = p.play(100*time.Millisecond, func() bool { return false })
	}
	if got := clients(t, m); got < n/2 {
		t.Fatalf("%d clients in the report, the deaf ones are missing", got)
	}
	ping(t, bystander, "10.8.0.1", 50, 0, "0.01")
	await(t, "only the bystander is left", 15*time.Second, func() bool { return clients(t, m) == 1 })
	ping(t, bystander, "10.8.0.1", 20, 0, "0.01")
	terminate(t, s)
}

// Texts of any size and content in the key message and after it: no crash, and the next client is served.
func TestServerWithOddClients(t *testing.T) {
	t.Parallel()
	l, s, _, bystander := hostileLab(t)
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, tt := range []struct {
		name, options, info, user, pass string
		texts                           []string
	}{
		{name: "options", options: "V4," + long(1500), info: usual},
		{name: "peer info", options: "V4", info: usual + "IV_X=" + long(1200)},
		{name: "many lines", options: "V4", info: usual + strings.Repeat("A=1\n", 300)},
		{name: "hostile lines", options: "V4", info: usual + "PATH=/evil\nLD_PRELOAD=x\nIV_\x01=2\n=\n\n\n==\nUV_A=\x1b[31m\n"},
		{name: "no peer info"},
		{name: "numbers", options: "V4", info: "IV_PROTO=-1\nIV_NCP=99999999999999999999\nIV_CIPHERS=:::\n"},
		{name: "no cipher in common", options: "V4", info: "IV_PROTO=990\nIV_CIPHERS=RC4\n"},
		{name: "credentials", options: "V4", info: usual, user: long(700), pass: long(700)},
		{name: "texts", options: "V4", info: usual, texts: []string{"PUSH_REQUEST", long(1500), "CR_RESPONSE,\x01\x02", "EXIT now", "PUSH_REPLY,route 0.0.0.0", "AUTH_FAILED", "\xff\xfe", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := l.newPuppet(openUDP(t, l.client, "", "10.99.0.1:1194"), tt.options, tt.info)
			if err != nil {
				t.Fatal(err)
			}
			defer p.session.Close()
			p.user, p.pass = tt.user, tt.pass
			for _, text := range tt.texts {
				_ = p.session.SendText(text) // our side may refuse what is too long
			}
			_ = p.play(1500*time.Millisecond, func() bool { return p.told("PUSH_REPLY") || p.told("AUTH_FAILED") || p.failed != nil })
			t.Logf("texts %q, %v", p.texts, p.failed)
		})
	}
	ping(t, bystander, "10.8.0.1", 10, 0, "0.01")
	for line := range strings.SplitSeq(s.Log(), "\n") {
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' }) {
			t.Errorf("control characters in the log: %q", line)
		}
	}
	terminate(t, s)
}

// Replayed and changed packets of a live session change nothing.
func TestServerWithReplays(t *testing.T) {
	t.Parallel()
	l, s, m, bystander := hostileLab(t)
	conn := openUDP(t, l.client, "", "10.99.0.1:1194")
	p, err := l.newPuppet(conn, "V4", usual)
	if err != nil {
		t.Fatal(err)
	}
	defer p.session.Close()
	if err := p.play(5*time.Second, func() bool { return p.told("PUSH_REPLY") }); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	own := p.session.Own()
	for k := range 3000 {
		b := stranger(r)
		if k%2 == 0 && len(b) > 9 {
			copy(b[1:9], own[:]) // of the session, as far as one can see
		}
		_, _ = conn.Write(b)
		if k%100 == 0 {
			time.Sleep(5 * time.Millisecond)
		}
	}
	if n := clients(t, m); n > 3 {
		t.Errorf("%d clients in the report", n)
	}
	if err := p.session.SendText("PUSH_REQUEST"); err != nil {
		t.Fatal(err)
	}
	ping(t, bystander, "10.8.0.1", 20, 0, "0.01")
	terminate(t, s)
}
