package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

func tcpPair(t testing.TB, client, server Stream) (Link, *TCPLink) {
	t.Helper()
	ln, err := ListenTCP(ListenConfig{Local: netip.MustParseAddrPort("127.0.0.1:0"), Stream: server})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, ln)
	c, err := DialTCP(t.Context(), DialConfig{Remote: ln.Addr(), Stream: client})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, c)
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, s)
	return c, s
}

func TestTCPRoundTrip(t *testing.T) {
	for _, sizes := range [][]int{{1}, repeat(1400, 40), {1, 2, 3, 65535, 4}, repeat(10, 300)} {
		c, s := tcpPair(t, Stream{QueueLimit: 1000}, Stream{QueueLimit: 1000})
		var want [][]byte
		for i, n := range sizes {
			want = append(want, bytes.Repeat([]byte{byte(i)}, n))
		}
		if err := c.Send(Peer{}, want); err != nil {
			t.Fatal(err)
		}
		peer, got := receive(t, s, len(want))
		if diff := differ(want, got); diff != "" {
			t.Errorf("to server (-want +got):\n%s", diff)
		}
		if peer.Addr != c.LocalAddr() {
			t.Errorf("peer %v, want %v", peer.Addr, c.LocalAddr())
		}
		if err := s.Send(peer, want); err != nil {
			t.Fatal(err)
		}
		_, got = receive(t, c, len(want))
		if diff := differ(want, got); diff != "" {
			t.Errorf("to client (-want +got):\n%s", diff)
		}
		received := s.Stats().RecvBytes.Load()
		sent := c.Stats().SentBytes.Load()
		for deadline := time.Now().Add(5 * time.Second); sent != received && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			sent = c.Stats().SentBytes.Load() // is counted when the write has returned, maybe behind the other end's read
		}
		if sent != received {
			t.Errorf("client counted %d bytes sent, server %d received", sent, received)
		}
		if c.Proto() != "TCPv4_CLIENT" || s.Proto() != "TCPv4_SERVER" {
			t.Errorf("named %s and %s", c.Proto(), s.Proto())
		}
	}
}

// A stream cut at any byte gives the same frames.
func TestFramesSplit(t *testing.T) {
	var stream []byte
	want := [][]byte{[]byte("a"), []byte("hello"), bytes.Repeat([]byte("x"), 300)}
	for _, p := range want {
		stream = append(append(stream, byte(len(p)>>8), byte(len(p))), p...)
	}
	for cut := range stream {
		var carry []byte
		b := NewBatch()
		var got [][]byte
		for _, part := range [][]byte{stream[:cut], stream[cut:]} {
			buf := append(carry, part...)
			used, err := b.frames(buf, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range b.Packets {
				got = append(got, bytes.Clone(p))
			}
			carry = bytes.Clone(buf[used:])
		}
		if diff := differ(want, got); diff != "" {
			t.Fatalf("cut at %d (-want +got):\n%s", cut, diff)
		}
	}
}

func TestTCPRecvKeepsPartialFrames(t *testing.T) {
	c, s := tcpPair(t, Stream{}, Stream{})
	raw := c.(*TCPLink).conn
	b := NewBatch()
	for _, part := range []string{"\x00", "\x05", "he", "llo\x00\x01"} {
		if _, err := raw.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
		_ = s.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		err := s.Recv(b)
		if part != "llo\x00\x01" {
			if err == nil {
				t.Fatalf("a packet after %q: %q", part, b.Packets)
			}
			continue
		}
		if err != nil || len(b.Packets) != 1 || string(b.Packets[0]) != "hello" {
			t.Fatalf("got %q, %v, want hello", b.Packets, err)
		}
	}
	if _, err := raw.Write([]byte("!")); err != nil {
		t.Fatal(err)
	}
	if _, got := receive(t, s, 1); string(got[0]) != "!" {
		t.Errorf("got %q, want !", got)
	}
}

func TestTCPBadFrame(t *testing.T) {
	for _, tt := range []struct{ name, in string }{
		{"zero", "\x00\x01a\x00\x00"},
		{"too long", "\x00\x01aGET / HTTP/1.0\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, s := tcpPair(t, Stream{}, Stream{MaxFrame: 1768})
			if _, err := c.(*TCPLink).conn.Write([]byte(tt.in)); err != nil {
				t.Fatal(err)
			}
			if _, got := receive(t, s, 1); string(got[0]) != "a" {
				t.Errorf("good frame in front: %q", got)
			}
			if err := s.Recv(NewBatch()); !errors.Is(err, ErrFrame) {
				t.Errorf("got %v, want %v", err, ErrFrame)
			}
			conn, rest := s.Detach()
			if want := tt.in[3:]; string(rest) != want {
				t.Errorf("bytes for port-share %q, want %q", rest, want)
			}
			_ = c.Close()
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("detached connection: %v, want EOF", err)
			}
		})
	}
}

// A peer that never reads costs drops, and never the caller's time.
func TestTCPSlowPeer(t *testing.T) {
	_, s := tcpPair(t, Stream{}, Stream{QueueLimit: 16})
	pkts := packets(repeat(60000, 1)...)
	start := time.Now()
	for range 2000 {
		if err := s.Send(Peer{}, pkts); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("2000 sends took %v", d)
	}
	if s.Stats().Dropped.Load() == 0 {
		t.Error("nothing was dropped")
	}
	s.mu.Lock()
	n := len(s.pending)
	s.mu.Unlock()
	if n > 16*(60000+prefixLen) {
		t.Errorf("queue holds %d bytes", n)
	}
	start = time.Now()
	_ = s.Close()
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("close took %v", d)
	}
}

// With SendWait the sender is held back instead, until the time is over.
func TestTCPSendWait(t *testing.T) {
	c, s := tcpPair(t, Stream{QueueLimit: 4, SendWait: 50 * time.Millisecond}, Stream{})
	pkts := packets(repeat(16000, 4)...)
	var sent int
	for c.Stats().Dropped.Load() == 0 {
		if err := c.Send(Peer{}, pkts); err != nil {
			t.Fatal(err)
		}
		sent += len(pkts)
		if sent > 100_000 {
			t.Fatal("the queue never filled")
		}
	}
	sent -= int(c.Stats().Dropped.Load())
	done := make(chan error, 1)
	go func() { done <- c.Send(Peer{}, pkts[:1]) }()
	if _, got := receive(t, s, sent); len(got) < sent {
		t.Errorf("received %d of %d", len(got), sent)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTCPClose(t *testing.T) {
	c, s := tcpPair(t, Stream{}, Stream{})
	if err := s.Send(Peer{}, packets(3)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // what was queued still arrives
		t.Fatal(err)
	}
	receive(t, c, 1)
	if err := c.Recv(NewBatch()); !errors.Is(err, io.EOF) {
		t.Errorf("after the peer's close: %v, want EOF", err)
	}
	if err := s.Send(Peer{}, packets(3)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("send after close: %v", err)
	}
	c2, _ := tcpPair(t, Stream{}, Stream{})
	got := make(chan error)
	go func() { got <- c2.Recv(NewBatch()) }()
	_ = c2.Close()
	if err := <-got; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Recv during close: %v", err)
	}
}

func TestTCPErrors(t *testing.T) {
	ln, err := ListenTCP(ListenConfig{Local: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr()
	_, err = ListenTCP(ListenConfig{Local: addr})
	if want := fmt.Sprintf("TCP/UDP: Socket bind failed on local address [AF_INET]%v: Address already in use (errno=98)", addr); err == nil || err.Error() != want {
		t.Errorf("bind: %v, want %s", err, want)
	}
	_ = ln.Close()
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: %v", err)
	}
	_, err = DialTCP(t.Context(), DialConfig{Remote: addr})
	if want := fmt.Sprintf("TCP: connect to [AF_INET]%v failed: Connection refused", addr); err == nil || err.Error() != want {
		t.Errorf("connect: %v, want %s", err, want)
	}
	var sock *SocketError
	if !errors.As(err, &sock) || sock.Op != "connect" || sock.Errno != syscall.ECONNREFUSED || Transient(err) {
		t.Errorf("%v holds %+v", err, sock)
	}
	// Nobody answers at this address (reserved for documentation), or there is no route: the text has no Go in it.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = DialTCP(ctx, DialConfig{Remote: netip.MustParseAddrPort("192.0.2.1:9")})
	if err == nil || !strings.HasPrefix(err.Error(), "TCP: connect to [AF_INET]192.0.2.1:9 failed: ") || strings.Contains(err.Error(), "dial") {
		t.Errorf("timeout: %v", err)
	}
}

// Dual stack and families of listeners.
func TestListenFamilies(t *testing.T) {
	for _, tt := range []struct {
		family Family
		v6only bool
		four   bool
		six    bool
	}{{FamilyAny, false, true, false}, {FamilyIPv4, false, true, false}, {FamilyIPv6, false, true, true}, {FamilyIPv6, true, false, true}} {
		ln, err := ListenTCP(ListenConfig{Family: tt.family, Socket: Socket{V6Only: tt.v6only}})
		if err != nil {
			t.Fatal(err)
		}
		for host, want := range map[string]bool{"127.0.0.1": tt.four, "::1": tt.six} {
			l, err := DialTCP(t.Context(), DialConfig{Remote: netip.AddrPortFrom(netip.MustParseAddr(host), ln.Addr().Port())})
			if (err == nil) != want {
				t.Errorf("%+v: connect to %s: %v", tt, host, err)
			}
			if err == nil {
				_ = l.Close()
			}
		}
		_ = ln.Close()
	}
}

func BenchmarkTCP(b *testing.B) {
	c, s := tcpPair(b, Stream{QueueLimit: 1000}, Stream{})
	pkts := packets(repeat(1400, 40)...)
	batch := NewBatch()
	b.SetBytes(1400)
	for i := 0; i < b.N; i += len(pkts) {
		if err := c.Send(Peer{}, pkts); err != nil {
			b.Fatal(err)
		}
		for n := 0; n < len(pkts); n += len(batch.Packets) {
			if err := s.Recv(batch); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x00\x01a\x00\x02bc\x00"), 100)
	f.Add([]byte("\x00\x00"), 10)
	f.Fuzz(func(t *testing.T, in []byte, limit int) {
		limit = max(1, min(limit, maxFrame))
		b := NewBatch()
		used, _ := b.frames(in, limit)
		var again []byte
		for _, p := range b.Packets {
			if len(p) == 0 || len(p) > limit {
				t.Fatalf("frame of %d bytes, limit %d", len(p), limit)
			}
			again = append(append(again, byte(len(p)>>8), byte(len(p))), p...)
		}
		if !bytes.Equal(again, in[:used]) {
			t.Fatalf("%x does not give %x again", again, in[:used])
		}
	})
}
