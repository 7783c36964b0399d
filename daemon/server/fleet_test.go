package server

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/fleet"
)

// scripted is a fleet that a test scripts.
type scripted struct {
	slot  int
	err   error
	files map[string]string
	hangs bool // until the server's patience ends
	// atOnce says that no client need wait.
	atOnce bool

	mu    sync.Mutex // guards what follows
	begun []fleet.Client
	ended map[uint64]int
	forgo int
}

func (s *scripted) File(name string) (string, bool) {
	text, ok := s.files[name]
	return text, ok
}

func (s *scripted) Begin(ctx context.Context, c fleet.Client) (int, error) {
	s.mu.Lock()
	s.begun = append(s.begun, c)
	s.mu.Unlock()
	if s.hangs {
		<-ctx.Done()
	}
	return s.slot, s.err
}

func (s *scripted) BeginNow(c fleet.Client) (int, bool) {
	if !s.atOnce {
		return -1, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = append(s.begun, c)
	return s.slot, true
}

func (s *scripted) Forgo(uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgo++
}

func (s *scripted) End(id uint64, _ bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == nil {
		s.ended = make(map[uint64]int)
	}
	s.ended[id]++
}

func (s *scripted) over(id uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended[id] > 0
}

// first is the number of the first client.
func (s *scripted) first() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun[0].ID
}

// What a fleet decides about a newcomer, and what the client hears.
func TestNewcomersOfAFleet(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		fleet *scripted
		hears string // beginning of a text
		has   string // in it
	}{
		{name: "a slot", fleet: &scripted{slot: 40}, hears: "PUSH_REPLY", has: "ifconfig 10.8.0.42 255.255.255.0"},
		{name: "a slot at once", fleet: &scripted{slot: 40, atOnce: true}, hears: "PUSH_REPLY", has: "ifconfig 10.8.0.42 255.255.255.0"},
		{name: "the store hangs", fleet: &scripted{slot: 7, hangs: true}, hears: "PUSH_REPLY", has: "ifconfig 10.8.0.9 255.255.255.0"},
		{name: "no address is left", fleet: &scripted{slot: -1, err: fleet.ErrExhausted}, hears: "RESTART,[N]"},
		{name: "banned", fleet: &scripted{err: fleet.ErrBanned}, hears: "AUTH_FAILED", has: "banned in the fleet"},
		{name: "revoked", fleet: &scripted{err: fleet.ErrRevoked}, hears: "AUTH_FAILED", has: "certificate revoked in the fleet"},
		{name: "a file of the fleet", fleet: &scripted{slot: 1, files: map[string]string{"client1": "push \"route 10.20.0.0 255.255.0.0\"", "DEFAULT": "disable"}}, hears: "PUSH_REPLY", has: "route 10.20.0.0 255.255.0.0"},
		{name: "lines for every client", fleet: &scripted{slot: 1, files: map[string]string{"": "push \"route 10.21.0.0 255.255.0.0\""}}, hears: "PUSH_REPLY", has: "route 10.21.0.0 255.255.0.0"},
		{name: "a client that the fleet's DEFAULT shuts out", fleet: &scripted{slot: 1, files: map[string]string{"DEFAULT": "disable", "other": "push-reset"}}, hears: "AUTH_FAILED"},
		{name: "over the limit", fleet: &scripted{err: fleet.ErrLimit}, hears: "AUTH_FAILED", has: "too many sessions"},
		{name: "draining", fleet: &scripted{err: fleet.ErrDraining}, hears: "RESTART,[N]"},
		{name: "out of the fleet", fleet: &scripted{err: fleet.ErrOut}, hears: "RESTART,[N]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inFakeTime(t, func(t *testing.T) {
				r := newRigIn(t, tt.fleet, inMemory)
				c, err := r.dial("", ctrlwrap.NewPlain())
				if err != nil {
					t.Fatal(err)
				}
				defer c.close()
				if !c.play(15*time.Second, func() bool { return c.told(tt.hears) }) {
					t.Fatalf("it does not hear %s: %q, %v", tt.hears, c.texts, c.failed)
				}
				if tt.has != "" && !strings.Contains(strings.Join(c.texts, "\n"), tt.has) {
					t.Errorf("it hears %q, want %q", c.texts, tt.has)
				}
				r.stop()
				f := tt.fleet
				if len(f.begun) != 1 || !f.over(f.begun[0].ID) {
					t.Fatalf("the fleet hears of %+v, and of the end of %v", f.begun, f.ended)
				}
				if who := f.begun[0]; who.CommonName != "client1" || who.Identity != "client1" || who.Mark == "" || who.Serial == "" || who.Returning {
					t.Errorf("the fleet sees %+v", who)
				}
			})
		})
	}
}

// A client that the fleet ends hears and leaves what fits the reason, and a drain sends all to their next remote.
func TestFleetEndsClients(t *testing.T) {
	t.Parallel()
	for why, hears := range map[fleet.Reason]string{fleet.Killed: "", fleet.Revoked: "", fleet.Moved: "", fleet.Limited: "", fleet.Expired: "RESTART", "drain": "RESTART,[N]"} {
		t.Run(string(why), func(t *testing.T) {
			inFakeTime(t, func(t *testing.T) {
				f := &scripted{slot: 3}
				r := newRigIn(t, f, inMemory)
				c, err := r.dial("", ctrlwrap.NewPlain())
				if err != nil {
					t.Fatal(err)
				}
				defer c.close()
				if !c.up(15 * time.Second) {
					t.Fatal(c.failed)
				}
				if why == "drain" {
					go r.server.Drain(t.Context(), time.Minute)
				} else {
					r.server.EndForFleet([]Ending{{ID: f.first(), Why: why}, {ID: 77, Why: why}})
					if !f.over(77) {
						t.Error("the end of a client that is gone is not told")
					}
				}
				if hears != "" && !c.play(15*time.Second, func() bool { return c.told(hears) }) {
					t.Errorf("it does not hear %s: %q", hears, c.texts)
				}
				r.await("the fleet hears of the end", func() bool { return f.over(f.first()) })
			})
		})
	}
}

// Of the files that all nodes have, too, DEFAULT is no client's own: ccd-exclusive refuses a user of that name, like any other without a file.
func TestExclusiveFilesOfAFleet(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		user string
		in   bool
	}{{"bob", true}, {"DEFAULT", false}, {"nobody", false}} {
		t.Run(tt.user, func(t *testing.T) {
			t.Parallel()
			f := &scripted{slot: 1, files: map[string]string{"bob": "", "DEFAULT": "", "": ""}}
			r := newRigIn(t, f, "udp4", "--script-security", "3", "--auth-user-pass-verify", "/bin/true", "via-env", "--username-as-common-name",
				"--client-config-dir", t.TempDir(), "--ccd-exclusive")
			c, err := r.dial("", ctrlwrap.NewPlain())
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			c.user, c.pass = tt.user, "p"
			if in := c.play(10*time.Second, func() bool { return c.told("PUSH_REPLY") || c.told("AUTH_FAILED") }) && c.told("PUSH_REPLY"); in != tt.in {
				t.Errorf("it comes in: %v, want %v; it was told %q", in, tt.in, c.texts)
			}
		})
	}
}
