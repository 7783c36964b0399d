package control_test

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/keys"
)

// quick is two sessions without a link between them: packets change hands at once, in real time.
type quick struct {
	tb             testing.TB
	client, server *control.Session
	wake           chan struct{}
	active         int
}

func newQuick(tb testing.TB, static *keys.StaticKey) *quick {
	tb.Helper()
	q := &quick{tb: tb, wake: make(chan struct{}, 1)}
	wake := func() {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	clientTLS, serverTLS := identities(tb, pki.ECDSA)
	now := time.Now()
	var err error
	q.client, err = control.New(control.Config{
		Role: keys.Client, TLS: clientTLS, Wrap: ctrlwrap.NewTLSCrypt(static, keys.Client), StaticKey: static,
		LocalOptions: "V4,dev-type tun,link-mtu 1549,tun-mtu 1500,proto UDPv4,auth SHA1,keysize 128,key-method 2,tls-client",
		PeerInfo:     "IV_VER=2.6.14\nIV_PLAT=linux\nIV_NCP=2\nIV_CIPHERS=AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305\nIV_PROTO=990\n",
		Wake:         wake,
	}, now)
	if err != nil {
		tb.Fatal(err)
	}
	q.server, err = control.New(control.Config{
		Role: keys.Server, TLS: serverTLS, Wrap: ctrlwrap.NewTLSCrypt(static, keys.Server), StaticKey: static,
		LocalOptions: "V4,dev-type tun,link-mtu 1549,tun-mtu 1500,proto UDPv4,auth SHA1,keysize 128,key-method 2,tls-server",
		Wake:         wake,
	}, now)
	if err != nil {
		tb.Fatal(err)
	}
	return q
}

// connect runs both ends until both are active.
func (q *quick) connect() {
	q.tb.Helper()
	for q.active < 2 {
		moved := q.move(q.client, q.server)
		moved = q.move(q.server, q.client) || moved
		if moved {
			continue
		}
		select {
		case <-q.wake:
		case <-time.After(5 * time.Second):
			q.tb.Fatal("handshake hangs")
		}
	}
	for q.move(q.client, q.server) || q.move(q.server, q.client) {
		continue
	}
}

func (q *quick) move(from, to *control.Session) (moved bool) {
	q.tb.Helper()
	now := time.Now()
	from.Step(now)
	for {
		ev, ok := from.Event()
		if !ok {
			break
		}
		moved = true
		switch ev := ev.(type) {
		case control.NeedCredentials:
			if err := from.SetCredentials("", ""); err != nil {
				q.tb.Fatal(err)
			}
		case control.Active:
			q.active++
			if _, err := from.KeyBlock(ev.KeyID, true); err != nil {
				q.tb.Fatal(err)
			}
		case control.Failed:
			q.tb.Fatal(ev.Err)
		}
	}
	from.Step(now)
	for {
		p, ok := from.Next()
		if !ok {
			return moved
		}
		moved = true
		if err := to.Input(p, now); err != nil {
			q.tb.Fatal(err)
		}
	}
}

// BenchmarkHandshake is the CPU of one full handshake, both ends together, mutual ECDSA certificates.
func BenchmarkHandshake(b *testing.B) {
	static, err := keys.GenerateStaticKey(randReader{})
	if err != nil {
		b.Fatal(err)
	}
	before := daemontest.ProcessorTime(b)
	for b.Loop() {
		q := newQuick(b, static)
		q.connect()
		q.client.Close()
		q.server.Close()
	}
	b.ReportMetric(float64(daemontest.ProcessorTime(b)-before)/float64(b.N)/1e6, "cpu-ms/op")
}

// BenchmarkMemory is what a connected session keeps. Clients and servers are the same code; a pair is two.
func BenchmarkMemory(b *testing.B) {
	static, err := keys.GenerateStaticKey(randReader{})
	if err != nil {
		b.Fatal(err)
	}
	const n = 500
	for b.Loop() {
		heap, routines := heapInUse(), runtime.NumGoroutine()
		pairs := make([]*quick, n)
		for i := range pairs {
			pairs[i] = newQuick(b, static)
			pairs[i].connect()
		}
		used := heapInUse() - heap
		b.ReportMetric(float64(used)/(2*n), "B/session")
		b.ReportMetric(float64(runtime.NumGoroutine()-routines)/(2*n), "goroutines/session")
		for _, p := range pairs {
			p.client.Close()
			p.server.Close()
		}
	}
}

func heapInUse() int64 {
	debug.FreeOSMemory()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
