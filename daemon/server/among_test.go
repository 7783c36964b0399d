package server

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/hooks"
)

const patience = 15 * time.Second

// enter connects one more client and returns it with its number.
func (r *rig) enter(info string) (*caller, uint64) {
	r.t.Helper()
	c, err := r.dial("", ctrlwrap.NewPlain())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(c.close)
	if info != "" {
		c.info = info
		c.restart(r.t, r)
	}
	if !c.up(patience) {
		r.t.Fatalf("not up: %q, %v", c.texts, c.failed)
	}
	var cid uint64
	r.await("the client is there", func() (ok bool) {
		r.onHub(func(h *hub) {
			for _, i := range h.instances {
				if i.peer.Load().Addr == c.local() && i.tunnel.Load() != nil {
					cid, ok = i.cid, true
				}
			}
		})
		return ok
	})
	return c, cid
}

// owner is the number of the client that an address leads to.
func (r *rig) owner(addr string) (cid uint64, ok bool) {
	r.t.Helper()
	r.onHub(func(h *hub) {
		if d := h.routes.Owner(netip.MustParsePrefix(addr + "/32")); d != nil {
			cid, ok = d.cid, true
		}
	})
	return cid, ok
}

const updatable = "IV_PROTO=4574\n" // with the bit of PUSH_UPDATE

// An update that gives a client another address moves what leads to it, unless the address is taken or learn-address refuses it.
func TestUpdateOfAddress(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		options []string
		script  string
		update  string
		all     bool
		wrong   string
		leads   string // to the first client then
		not     string // leads nowhere then
	}{
		{name: "a free address", update: "ifconfig 10.8.0.99 255.255.255.0", leads: "10.8.0.99", not: "10.8.0.2"},
		{name: "a route alone", update: "route 10.77.0.0 255.255.0.0", leads: "10.8.0.2"},
		{name: "no address any more", update: "-ifconfig", not: "10.8.0.2"},
		{name: "the address of another client", update: "ifconfig 10.8.0.3 255.255.255.0", wrong: "is the address of client", leads: "10.8.0.2"},
		{name: "one address for all", update: "ifconfig 10.8.0.99 255.255.255.0", all: true, wrong: "is an address for one client, and there are 2", leads: "10.8.0.2"},
		{name: "an option that is too long", update: "echo " + strings.Repeat("x", 2000), wrong: "is too long: 2005 bytes", leads: "10.8.0.2"},
		{name: "half an address", update: "ifconfig 10.8.0.99", wrong: "must be an address and its other end or netmask", leads: "10.8.0.2"},
		{name: "no options", update: " , ", wrong: "no options", leads: "10.8.0.2"},
		{
			name: "learn-address agrees", script: "exit 0", options: []string{"--script-security", "2", "--learn-address", "@learn"},
			update: "ifconfig 10.8.0.99 255.255.255.0", leads: "10.8.0.99", not: "10.8.0.2",
		},
		{
			name: "learn-address refuses", script: `[ "$2" != 10.8.0.99 ]`, options: []string{"--script-security", "2", "--learn-address", "@learn"},
			update: "ifconfig 10.8.0.99 255.255.255.0", not: "10.8.0.99",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inFakeTime(t, func(t *testing.T) {
				l := life{options: tt.options, files: map[string]string{"learn": "#!/bin/sh\n" + tt.script + "\n"}}
				r := newRig(t, inMemory, l.prepare(t)...)
				c, cid := r.enter(updatable)
				r.enter(updatable)
				n, err := r.server.PushUpdate(cid, tt.all, tt.update)
				if tt.wrong != "" {
					if err == nil || !strings.Contains(err.Error(), tt.wrong) {
						t.Fatalf("%d clients, %v; want %q", n, err, tt.wrong)
					}
				} else {
					if n != 1 || err != nil {
						t.Fatalf("%d clients, %v", n, err)
					}
					if !c.play(patience, func() bool { return c.told("PUSH_UPDATE,") }) {
						t.Errorf("the client hears %q", c.texts)
					}
				}
				if tt.leads != "" {
					r.await(tt.leads+" leads to the client", func() bool { owner, ok := r.owner(tt.leads); return ok && owner == cid })
				}
				if tt.not != "" {
					r.await(tt.not+" leads nowhere", func() bool { _, ok := r.owner(tt.not); return !ok })
				}
			})
		})
	}
}

// Clients that do not understand updates are left out, and said so when asked for by number.
func TestUpdateOfOldClients(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		r := newRig(t, inMemory)
		_, cid := r.enter("")
		for _, all := range []bool{false, true} {
			if n, err := r.server.PushUpdate(cid, all, "echo x"); n != 0 || err == nil {
				t.Errorf("all %v: %d clients, %v", all, n, err)
			}
		}
		if !strings.Contains(r.log.String(), "PUSH_UPDATE: not sending message to unsupported peer with ID: ") {
			t.Error("the log does not tell")
		}
	})
}

// A client that logs in again from another address takes the place of its older session, and its address.
func TestOneClientOfAName(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		r := newNamedRig(t, inMemory)
		_, first := r.enter("")
		_, second := r.enter("")
		r.await("the older session is gone", func() bool { return r.server.Clients() == 1 })
		r.await("the address is that of the newer one", func() bool { owner, ok := r.owner("10.8.0.2"); return ok && owner == second })
		if first == second || !strings.Contains(r.log.String(), "will cause previous active sessions by this client to be dropped") {
			t.Errorf("clients %d and %d", first, second)
		}
	})
}

// What a reload does at once reaches clients that are connected.
func TestReloadEndsOldSessions(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		r := newRig(t, inMemory, "--session-timeout", "3600")
		r.enter("")
		if _, err := r.server.Apply(r.options("--session-timeout", "1"), hooks.NewEnv()); err != nil {
			t.Fatal(err)
		}
		r.await("the client's time is over", func() bool { return r.server.Clients() == 0 })
		if !strings.Contains(r.log.String(), "Session timeout, exiting") {
			t.Error("it ended for another reason")
		}
	})
}

// Each renewal of a client with a token brings the next one.
func TestTokenOfRenewal(t *testing.T) {
	inFakeTime(t, func(t *testing.T) {
		l := life{
			options: []string{"--script-security", "3", "--auth-user-pass-verify", "@verify", "via-env", "--tmp-dir", "@", "--auth-gen-token"},
			files:   map[string]string{"verify": "#!/bin/sh\nexit 0\n"},
		}
		r := newRig(t, inMemory, l.prepare(t)...)
		c, err := r.dial("", ctrlwrap.NewPlain())
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		c.user, c.pass = "u", "p"
		if !c.up(patience) {
			t.Fatalf("not up: %q", c.texts)
		}
		_, token, _ := strings.Cut(strings.Join(c.texts, ","), "auth-token ")
		c.pass, _, _ = strings.Cut(token, ",")
		if !c.play(patience, func() bool { return c.session.Renegotiate(time.Now()) == nil }) {
			t.Fatal("no renewal")
		}
		if !c.play(patience, func() bool { return c.told("PUSH_REPLY,auth-token ") }) {
			t.Errorf("no new token: %q, %v", c.texts, c.failed)
		}
	})
}

// The pool's file gives a name its address again, at the next start.
func TestPoolFile(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/pool"
	for range 2 {
		t.Run("start", func(t *testing.T) {
			inFakeTime(t, func(t *testing.T) {
				r := newNamedRig(t, inMemory, "--ifconfig-pool-persist", file, "1")
				c, cid := r.enter("")
				if owner, ok := r.owner("10.8.0.2"); !ok || owner != cid {
					t.Errorf("10.8.0.2 leads to %d, %v; the client heard %q", owner, ok, c.texts)
				}
				r.await("the file holds the client", func() bool { return strings.Contains(string(readOr(file)), "client1,10.8.0.2") })
			})
		})
	}
}
