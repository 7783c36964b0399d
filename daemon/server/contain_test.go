package server

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// brittle is a wrapper that panics.
type brittle struct{ ctrlwrap.Wrapper }

func (brittle) Unwrap([]byte, time.Time) (wire.Opcode, uint8, wire.SessionID, []byte, error) {
	panic("broken invariant")
}

// A panic in the work for one client ends that client, and another one is served on.
func TestPanicIsContained(t *testing.T) {
	now := time.Now()
	o := new(config.Options)
	o.MaxClients, o.HandWindow, o.Verb = 4, time.Minute, 4
	text := new(daemontest.Log)
	b := &base{deps: Deps{Log: logging.New(logging.Config{Stdout: text, Stderr: text, Verb: 4})}, port: new(portLog)}
	b.opts.Store(o)
	b.env.Store(hooks.NewEnv())
	h := newBareHub(b, o)
	add := func(from string, wrap ctrlwrap.Wrapper) *instance {
		i, err := h.newInstance(newcomer{link: &near{}, from: transport.Peer{Addr: netip.MustParseAddrPort(from)}}, now)
		if err != nil {
			t.Fatal(err)
		}
		i.session.Close()
		if i.session, err = session.New(session.Config{Config: control.Config{Role: keys.Server, TLS: new(tls.Config), Wrap: wrap}}, now); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(i.session.Close)
		if !h.table.add(i) {
			t.Fatal("no room")
		}
		return i
	}
	bad, good := add("192.0.2.1:1", brittle{ctrlwrap.NewPlain()}), add("192.0.2.2:1", ctrlwrap.NewPlain())
	pkt := (&wire.ControlBody{MsgID: 0}).Append(append([]byte{wire.Header(wire.OpControlHardResetClientV2, 0)}, clientSession[:]...), wire.OpControlHardResetClientV2)
	for _, i := range []*instance{bad, good} {
		i.link = &near{deliver: func([]byte) {}}
		h.plane = &plane{aside: h.aside}
		h.contained(i, func() { _ = i.session.Input(pkt, now) })
	}
	h.reaper.Wait()
	if bad.stage != session.Gone || good.stage == session.Gone {
		t.Errorf("stages %v and %v, want the first client gone and the second not", bad.stage, good.stage)
	}
	if good.session.Peer() != clientSession {
		t.Error("the second client's packet was not taken")
	}
	for _, want := range []string{"internal error: broken invariant", "brittle"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the log does not show %q", want)
		}
	}
}

// A panic in a hook's goroutine is logged, and the next hook about the same thing runs.
func TestPanicInAHookIsContained(t *testing.T) {
	text := new(daemontest.Log)
	b := &base{deps: Deps{Log: logging.New(logging.Config{Stdout: text, Stderr: text, Verb: 4})}}
	h := newBareHub(b, new(config.Options))
	h.hooksCtx = t.Context()
	ran := make(chan struct{})
	h.inTurn([]string{"name a"}, hooks.OfEvent, func(context.Context, *aside) func(*hub) { panic("broken hook") })
	h.inTurn([]string{"name a"}, hooks.OfEvent, func(context.Context, *aside) func(*hub) { close(ran); return nil })
	select {
	case <-ran:
	case <-time.After(10 * time.Second):
		t.Fatal("the next hook does not run")
	}
	h.running.Wait()
	if !strings.Contains(text.String(), "internal error: broken hook") {
		t.Errorf("the log: %s", text)
	}
}
