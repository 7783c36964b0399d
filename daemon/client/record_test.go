package client

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/journal"
)

// recorded keeps what an engine records.
type recorded struct {
	mu   sync.Mutex
	list []journal.Event
}

func (r *recorded) Record(e journal.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, e)
}

// of returns the events of a kind.
func (r *recorded) of(kind string) []journal.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.list), func(e journal.Event) bool { return e.Kind != kind })
}

// Both ends of a tunnel record its life: who, from where, why it ended and what it moved.
func TestBothEndsAreRecorded(t *testing.T) {
	t.Parallel()
	b := newBoth(t, "udp4")
	b.serve("--keepalive", "1", "10", "--reneg-sec", "0", "--script-security", "2", "--auth-user-pass-verify", b.write("verify", "#!/bin/sh\nexit 0\n"), "via-file")
	b.connect("--auth-user-pass", b.write("login", "alice\nsecret\n"), "--reneg-sec", "2", "--explicit-exit-notify", "1")
	b.up()
	b.await("keys are renewed", func() bool {
		return len(b.in.of(journal.KindRenewal)) > 0 && len(b.rec.of(journal.KindRenewal)) > 0
	})
	b.client.sig.Raise(engine.Stop{Signal: engine.USR1})
	b.lines(b.client, "Initialization Sequence Completed", 2)
	b.end(b.client, engine.TERM)
	b.await("the server sees both ends", func() bool { return len(b.in.of(journal.KindDisconnect)) == 2 })
	for _, tt := range []struct {
		who     string
		rec     *recorded
		cn      string
		tunnel  string
		endings []string
	}{
		{"client", b.rec, "server", "10.8.0.2", []string{"SIGUSR1", "exit-with-notification"}},
		{"server", b.in, "client1", "10.8.0.2", []string{"replaced", "delayed-exit"}},
	} {
		up, gone := tt.rec.of(journal.KindConnect), tt.rec.of(journal.KindDisconnect)
		if len(up) != 2 || len(gone) != 2 {
			t.Fatalf("%s: %d connects and %d disconnects, want 2 of each", tt.who, len(up), len(gone))
		}
		for n, e := range up {
			if e.CN != tt.cn || e.User != "alice" || !strings.HasPrefix(e.Address, "127.") || e.Port == 0 || !slices.Equal(e.Tunnel, []string{tt.tunnel}) {
				t.Errorf("%s: connect %+v", tt.who, e)
			}
			if e := gone[n]; e.In == 0 || e.Out == 0 || e.Seconds <= 0 || e.Reason != tt.endings[n] {
				t.Errorf("%s: disconnect %+v, want the reason %s", tt.who, e, tt.endings[n])
			}
		}
	}
	var states []string
	for _, e := range b.rec.of(journal.KindState) {
		states = append(states, strings.TrimSpace(e.Text+" "+e.Reason))
	}
	for _, want := range []string{"CONNECTED SUCCESS", "RECONNECTING SIGUSR1", "EXITING exit-with-notification"} {
		if !slices.Contains(states, want) {
			t.Errorf("no state %q in %q", want, states)
		}
	}
}

// A refused login is recorded without what the server said.
func TestRefusedClientIsRecorded(t *testing.T) {
	t.Parallel()
	b := newBoth(t, "udp4")
	b.serve("--script-security", "2", "--auth-user-pass-verify", b.write("verify", "#!/bin/sh\necho CRV1:R:challenge > $auth_failed_reason_file\nexit 1\n"), "via-file")
	b.connect("--auth-user-pass", b.write("login", "alice\nsecret\n"), "--auth-retry", "none")
	b.ended(b.client)
	refused := b.rec.of(journal.KindLogin)
	if len(refused) != 1 || refused[0].Verdict != journal.Refused || refused[0].User != "alice" || refused[0].Reason != "AUTH_FAILED" {
		t.Errorf("recorded %+v", refused)
	}
	for _, e := range b.rec.of(journal.KindState) {
		if strings.Contains(e.Reason, "challenge") {
			t.Errorf("what the server said is recorded: %+v", e)
		}
	}
}
