package client

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/mgmt"
)

// bringUp opens the tunnel, or keeps the one of the connection before when nothing about it changed.
func (a *attempt) bringUp(digest string) {
	c := a.c
	a.filter = newFilter(a.opts, a.peer.Addr.Addr(), a.loops())
	if c.early {
		a.publish(c.tunnel)
		a.complete(c.routesOK)
		return
	}
	if t := c.tunnel; t != nil {
		if t.digest == digest {
			a.log(logging.Info, "Preserving previous TUN/TAP instance: %s", t.Device().Name())
			a.publish(t)
			if t.Quiet() {
				a.complete(true)
				return
			}
			a.help(func(ctx context.Context) func() {
				err := t.Back(ctx)
				return func() { a.opened(true, err) }
			})
			return
		}
		a.log(logging.Info, "NOTE: Pulled options changed on restart, will need to close and reopen TUN/TAP device.")
	}
	a.publish(nil)
	o, prof, p := a.opts, a.prof, *a.snapshot(nil)
	a.help(func(ctx context.Context) func() {
		ok, err := c.openPulled(ctx, o, prof, digest, p)
		return func() { a.opened(ok, err) }
	})
}

// opened is the end of what a helper did to the tunnel.
func (a *attempt) opened(routesOK bool, err error) {
	if err != nil {
		a.stopWith(fatal(err))
		return
	}
	a.publish(a.c.tunnel) // the peer may have moved meanwhile
	a.complete(routesOK)
}

// snapshot holds all that the data plane needs to know of the connection, with a tunnel or none.
func (a *attempt) snapshot(t *device) *path {
	p := &path{link: a.link, peer: a.peer, channel: a.channel, traffic: &a.traffic, blockV6: a.opts.BlockIPv6, options: a.occ}
	p.static, p.filter = a.session == nil, a.filter
	if t != nil {
		p.device = t.Device()
	}
	return p
}

// publish hands the data plane its snapshot.
func (a *attempt) publish(t *device) { a.c.path.Store(a.snapshot(t)) }

// complete ends an initialisation: CONNECTED.
func (a *attempt) complete(routesOK bool) {
	c := a.c
	if !a.stage.Reach(session.Established) {
		return
	}
	now := time.Now()
	a.since = now
	a.pull.Opened()
	a.timers.Age(now)
	a.timers.Use(&a.traffic, now)
	c.pauses.attempts = 0
	c.remotes.stay = true
	c.announce()
	if !c.upCalled && c.deps.Up != nil {
		c.upCalled = true
		if err := c.deps.Up(); err != nil {
			a.stopWith(fatal(err))
			return
		}
	}
	a.log(logging.Info, "Initialization Sequence Completed")
	a.tellConnected(routesOK)
	describe(c.report, a.opts, a.prof, &a.terms)
	a.nextUpdate()
}

// tellConnected reports the state CONNECTED.
func (a *attempt) tellConnected(routesOK bool) {
	s := mgmt.State{Name: mgmt.StateConnected, Detail: mgmt.DetailSuccess, Remote: a.peer.Addr}
	s.TunIPv4, s.TunIPv6 = a.c.tunnel.Addresses()
	if !routesOK {
		s.Detail = mgmt.DetailRouteError
	}
	if a.stream || a.prof.Local != "" {
		s.Local = a.link.LocalAddr()
	}
	a.state(s)
	a.recordUp(s)
}

// describe logs what was negotiated.
func describe(r *report, o *config.Options, prof *config.Connection, terms *session.Terms) {
	line := "Data Channel: " + engine.CipherInLog(terms.Cipher, o.Auth)
	if terms.V2 {
		line += fmt.Sprintf(", peer-id: %d", terms.PeerID)
	}
	if name := compressionName(o); name != "" {
		line += fmt.Sprintf(", compression: '%s'", name)
	}
	r.log(logging.Summary, "%s", line)
	engine.WarnWeak(r.log, terms.Cipher, o.Auth, o.RenegBytes)
	limits := engine.Timers(o.Timers)
	if timers := engine.TimerNames(&limits); len(timers) > 0 {
		r.log(logging.Summary, "Timers: %s", strings.Join(timers, ", "))
	}
	var protocol []string
	if n := prof.ExplicitExitNotify; n > 0 {
		protocol = append(protocol, fmt.Sprintf("explicit-exit-notify %d", n))
	}
	if flags := terms.Flags(); len(flags) > 0 {
		protocol = append(protocol, "protocol-flags "+strings.Join(flags, " "))
	}
	if len(protocol) > 0 {
		r.log(logging.Summary, "Protocol options: %s", strings.Join(protocol, ", "))
	}
}

// compressionName is the log's name of the compression of a connection, "" without.
func compressionName(o *config.Options) string {
	switch {
	case o.Framing == config.FramingNone, o.Framing == config.FramingMigrate:
		return ""
	case o.Framing == config.FramingLZO && !o.Compressed:
		return "stub"
	default:
		return strings.ReplaceAll(string(o.Framing), "-", "")
	}
}
