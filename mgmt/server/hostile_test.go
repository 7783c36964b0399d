package server_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// Hostile seats send garbage that is almost right, read or do not, and come and go, for a moment in the normal tests.
func TestHostileSeats(t *testing.T) { hostileSeats(t, 2*time.Second) }

// hostileGrowth is how much the heap may grow from one check to the last, bytes: what queues and histories hold varies.
const hostileGrowth = 24 << 20

func hostileSeats(t *testing.T, limit time.Duration) {
	const attackers = 4
	limits := server.Limits{Droppable: 64 << 10, Essential: 256 << 10, Replies: 64 << 10, Flush: 50 * time.Millisecond, Handshake: 10 * time.Second}
	d := mgmttest.NewDaemon(t, server.Config{Hold: true, Limits: limits})
	for _, s := range []string{"mode client", "remote a 1 udp", "remote b 2 tcp-client"} {
		if err := d.Do(s); err != nil {
			t.Fatal(err)
		}
	}
	addr := d.ListenTCP(server.Access{})
	stop := make(chan struct{})
	over := func() bool {
		select {
		case <-stop:
			return true
		default:
			return false
		}
	}
	var sent, sessions, answers atomic.Int64
	done := make(chan struct{}, attackers+2)
	run := func(f func()) {
		go func() { defer func() { done <- struct{}{} }(); f() }()
	}
	// The daemon goes on asking: prompts that the attackers answer are asked again.
	run(func() {
		asks := []string{"hold 3", "userpass Auth", "userpass Auth 1 challenge", "needok t m", "needstr t m", "ask-remote a 1 udp", "ask-proxy 1 tcp a", "ask-cert h", "sign d a", "cancel"}
		for i := 0; !over(); i++ {
			_ = d.Do("cancel")
			if err := d.Do(asks[i%len(asks)]); err != nil {
				t.Error(err)
			}
			mode := [...]string{"mode client", "mode server", "mode start"}[i/50%3]
			if err := d.Do(mode); err != nil {
				t.Error(err)
			}
			d.ClientConnect(server.ClientEvent{CID: uint64(i % 5), KID: 1, Env: []string{"a=b", "password=x"}, PeerInfo: []string{"IV_VER=2"}})
			d.State(mgmt.State{Name: mgmt.StateWait})
			d.Echo("echo")
			d.Log(mgmt.LogEntry{Text: "a line between"})
			d.Ctl.Calls() // what was recorded is of no use here
			time.Sleep(2 * time.Millisecond)
		}
	})
	// A well-behaved seat must not notice.
	good := attach(t, dial(t, "tcp", addr))
	good.conn.SetDeadline(time.Time{})
	run(func() {
		for !over() {
			good.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			if _, err := good.conn.Write([]byte("pid\n")); err != nil {
				t.Error(err)
				return
			}
			for {
				line, err := good.r.ReadString('\n')
				if err != nil {
					t.Errorf("the other seat: %v", err)
					return
				}
				if strings.HasPrefix(line, "SUCCESS: pid=") {
					break
				}
				if !strings.HasPrefix(line, ">") {
					t.Errorf("the other seat got %q", line)
					return
				}
			}
			answers.Add(1)
			time.Sleep(time.Millisecond)
		}
	})
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for w := range uint64(attackers) {
		run(func() {
			rng := rand.New(rand.NewPCG(seed, w))
			for !over() {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				sessions.Add(1)
				sent.Add(attack(conn, rng, over))
				conn.Close()
			}
		})
	}
	time.Sleep(min(limit/4, 30*time.Second)) // pools and histories are full now
	first := heap()
	largest := first
	for end := time.Now().Add(limit - min(limit/4, 30*time.Second)); time.Now().Before(end); {
		time.Sleep(min(time.Second, limit/8))
		largest = max(largest, heap())
	}
	close(stop)
	for range attackers + 2 {
		<-done
	}
	good.conn.Close()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if all, _ := d.Seats(); all == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("seats are left")
		}
	}
	d.Stop()
	last := heap()
	t.Logf("%d sessions sent %d bytes, the other seat got %d answers; heap %d KiB at first, %d at most, %d in the end, %d goroutines",
		sessions.Load(), sent.Load(), answers.Load(), first>>10, largest>>10, last>>10, runtime.NumGoroutine())
	if largest > first+hostileGrowth || last > first+hostileGrowth/4 {
		t.Errorf("the heap grew from %d to %d KiB, %d in the end", first>>10, largest>>10, last>>10)
	}
	if answers.Load() == 0 || sent.Load() == 0 {
		t.Error("nothing happened")
	}
}

// heap is what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// attack is one session: lines of the command table with wrong parameters, cut and mixed with junk, in odd pieces. Some
// sessions read what comes, some stop, some never do.
func attack(conn net.Conn, rng *rand.Rand, over func() bool) (sent int64) {
	conn.SetDeadline(time.Now().Add(time.Duration(50+rng.IntN(500)) * time.Millisecond))
	drained := make(chan struct{})
	reads := rng.IntN(3) // of 3: never, some, all
	go func() {
		defer close(drained)
		switch reads {
		case 1:
			_, _ = io.CopyN(io.Discard, conn, readsSome)
		case 2:
			_, _ = io.Copy(io.Discard, conn)
		}
	}()
	var b bytes.Buffer
	for range 1 + rng.IntN(40) {
		b.Reset()
		for range 1 + rng.IntN(30) {
			hostileLine(&b, rng)
		}
		for b.Len() > 0 { // odd pieces
			n, err := conn.Write(b.Next(1 + rng.IntN(1500)))
			sent += int64(n)
			if err != nil || over() {
				conn.Close()
				<-drained
				return sent
			}
		}
	}
	conn.Close()
	<-drained
	return sent
}

// readsSome is how many bytes a session reads that stops early.
const readsSome = 10_000

var hostileWords = []string{
	"on", "off", "all", "release", "0", "1", "2", "3", "-1", "99999999999999999999", "Auth", "'Private Key'", `"HTTP Proxy"`, `"unfinished`, `\`, `a\b`, "END",
	"ACCEPT", "SKIP", "MOD", "NONE", "HTTP", "SOCKS", "a.example", "1194", "[::1]:1", "10.0.0.1:1", ":::", "cn", "#", ";x", "\x00", "\x1b[2J", "\xff\xfe", "ok", "t", "CRV1::x::y",
}

// hostileLine adds a line.
func hostileLine(b *bytes.Buffer, rng *rand.Rand) {
	all := mgmt.Commands()
	switch rng.IntN(12) {
	case 0:
		b.WriteString(strings.Repeat("x", rng.IntN(3000)))
	case 1:
		for range rng.IntN(200) {
			b.WriteByte(byte(rng.Uint32()))
		}
	case 2: // a block and its end, or not
		b.WriteString("client-auth 1 1\npush \"route 1.2.3.4\"\n" + strings.Repeat("y\n", rng.IntN(50)))
		if rng.IntN(2) == 0 {
			b.WriteString("END")
		}
	default:
		c := &all[rng.IntN(len(all))]
		if (c.Name == "exit" || c.Name == "quit") && rng.IntN(20) > 0 {
			return
		}
		b.WriteString(c.Name)
		for range rng.IntN(6) {
			b.WriteByte(' ')
			if rng.IntN(4) == 0 && len(c.Words) > 0 && len(c.Words[0]) > 0 {
				b.WriteString(c.Words[0][rng.IntN(len(c.Words[0]))])
				continue
			}
			b.WriteString(hostileWords[rng.IntN(len(hostileWords))])
		}
	}
	if rng.IntN(30) > 0 {
		b.WriteByte('\n')
	}
}
