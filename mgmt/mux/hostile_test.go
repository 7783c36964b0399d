package mux_test

import (
	"bufio"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/mux"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// Seats that send garbage, half blocks and everything that is almost right, and come and go: the one connection to the daemon
// stays in step, so that another seat always gets the reply to what it asked.
func TestHostileSeatsStayInStep(t *testing.T) {
	d := newUpstream(t, sock(t), server.Config{})
	d.do(t, "remote a 1 udp", "remote b 2 tcp-client")
	path := share(t, server.Access{}, server.Limits{Flush: 50 * time.Millisecond}, mux.Upstream{Addr: d.path})
	good := attach(t, path)
	good.conn.SetDeadline(time.Now().Add(60 * time.Second))
	good.until(">INFO:")
	var over atomic.Bool
	var all sync.WaitGroup
	stop := func() { over.Store(true); all.Wait() }
	defer stop()
	all.Go(func() { // the daemon goes on asking
		asks := []string{"userpass Auth", "needok t m", "needstr t m", "ask-remote a 1 udp", "ask-proxy 1 tcp a", "ask-cert h", "sign d a", "cancel", "secret Auth"}
		for i := 0; !over.Load(); i++ {
			for _, l := range []string{"cancel", asks[i%len(asks)], [...]string{"mode client", "mode server", "mode start"}[i/20%3]} {
				if err := d.Do(l); err != nil {
					t.Error(err)
				}
			}
			d.ClientConnect(server.ClientEvent{CID: uint64(i % 5), KID: 1, Env: []string{"a=b", "password=x"}})
			d.State(mgmt.State{Name: mgmt.StateWait})
			d.Log(mgmt.LogEntry{Text: "a line between"})
			d.Ctl.Calls()
			time.Sleep(time.Millisecond)
		}
	})
	words := []string{
		"pid", "state on all", "log on 3", "log off 2", "log 2 off", "echo all all", "log", "state off on", "help", "version", "version 3", "version x", "status", "status 3", "status 9", "verb", "mute 3",
		"hold", "hold release", "hold off", "hold maybe", "needok t ok", "needok t", "needstr t x", "username Auth a", "password Auth b", "password Auth", "username", `username "Auth`,
		"remote ACCEPT", "remote MOD h 1", "remote", "proxy NONE", "proxy HTTP h 1", "certificate", "pk-sig", "rsa-sig", "client-auth 0 1", "client-auth 0", "client-auth x y",
		"client-auth-nt 1 1", "client-deny 0 1 r", "client-deny 0", "client-kill 7", "client-pending-auth 0 1 x 3", "kill cn", "kill [::1]:1", "kill", "load-stats", "nclients", "net",
		"remote-entry-count", "remote-entry-get all", "remote-entry-get 0 2", "pkcs11-id-count", "pkcs11-id-get 0", "bytecount 1", "bytecount 0", "bytecount", "env-filter 2", "test 2", "cr-response eA==",
		"push-update-broad x", "push-update-cid 0 x", "push-update-cid x y", "reload", "reload x", "auth-retry none", "auth-retry x", "forget-passwords", "network-change", "frobnicate a b", "END", "", " ",
		"# c", `p\id`, strings.Repeat("y", 1100), "c2ln", "signal SIGUSR2", "signal x",
	}
	var sent atomic.Int64
	for n := range 4 {
		all.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(n), 1))
			for !over.Load() {
				conn, err := net.Dial("unix", path)
				if err != nil { // the backlog is full
					time.Sleep(time.Millisecond)
					continue
				}
				conn.SetDeadline(time.Now().Add(5 * time.Second))
				if n > 0 { // one does not read
					all.Go(func() { _, _ = io.Copy(io.Discard, conn) })
				}
				for range rnd.IntN(60) {
					if _, err := conn.Write([]byte(words[rnd.IntN(len(words))] + "\n")); err != nil || over.Load() {
						break
					}
					sent.Add(1)
					time.Sleep(time.Duration(rnd.IntN(200)) * time.Microsecond)
				}
				conn.Close()
			}
		})
	}
	questions := []struct{ ask, want string }{
		{"pid", "SUCCESS: pid="}, {"load-stats", "SUCCESS: nclients="}, {"version", "OpenVPN Version:"}, {"verb", "SUCCESS: verb="}, {"pkcs11-id-count", ">PKCS11ID-COUNT:"}, {"remote-entry-count x", ""},
	}
	r := bufio.NewReader(good.r)
	asked := 0
	for begun := time.Now(); time.Since(begun) < 2*time.Second; asked++ {
		q := questions[asked%len(questions)]
		good.send(q.ask)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("%s: %v", q.ask, err)
			}
			if strings.HasPrefix(line, ">") && !strings.HasPrefix(line, ">PKCS11") {
				continue
			}
			if !strings.HasPrefix(line, q.want) {
				t.Fatalf("%s is answered by %q: out of step after %d questions", q.ask, line, asked)
			}
			for q.want == "OpenVPN Version:" && line != "END\r\n" || q.want == "" && line != "END\r\n" && !strings.HasPrefix(line, "ERROR:") {
				if line, err = r.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			break
		}
	}
	stop()
	t.Logf("%d questions between %d lines of garbage", asked, sent.Load())
}
