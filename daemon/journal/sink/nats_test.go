//go:build !nofleet

package sink

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/journal"
)

// Events reach a subject in order, each with an id of its own, also those from before the server was there.
func TestNATS(t *testing.T) {
	t.Parallel()
	port := daemontest.FreePort(t, 1)
	l := new(lines)
	s, err := newNATS(fmt.Sprint("nats://127.0.0.1:", port), "vpn.events", "", l.log, pauses{time.Millisecond, 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Record(event(0)) // nobody is there

	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	go srv.Start()
	defer srv.WaitForShutdown()
	defer srv.Shutdown()
	if !srv.ReadyForConnections(15 * time.Second) {
		t.Fatal("the server does not start")
	}
	conn, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got := make(chan *nats.Msg, 1000)
	if _, err := conn.ChanSubscribe("vpn.>", got); err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	const events = 250
	for n := 1; n < events; n++ {
		s.Record(event(n))
	}
	ids := make(map[string]bool)
	for n := range events {
		select {
		case m := <-got:
			var e journal.Event
			if err := json.Unmarshal(m.Data, &e); err != nil || e.User != event(n).User {
				t.Fatalf("event %d is %s: %v", n, m.Data, err)
			}
			id := m.Header.Get(nats.MsgIdHdr)
			if id == "" || ids[id] {
				t.Fatalf("event %d has the id %q", n, id)
			}
			ids[id] = true
		case <-time.After(30 * time.Second):
			t.Fatalf("%d events came, %d are dropped, %q", n, s.Dropped(), l.list)
		}
	}
	if s.Dropped() != 0 {
		t.Errorf("%d are dropped", s.Dropped())
	}
}
