package client

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/credentials"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/material"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/mgmt"

	"github.com/moongate-vpn/moongate/daemon/message"
)

// pushReply takes a part of the server's options. With the last one the data channel starts and the tunnel opens.
func (a *attempt) pushReply(msg, arg string) {
	a.c.log(logging.Steps, "PUSH: Received control message: '%s'", message.Redact(msg))
	if !a.opts.Pull {
		return
	}
	if a.pull.Pulled() {
		a.renewToken(arg)
		return
	}
	complete, ok := a.pull.Reply(arg)
	if !ok {
		a.c.log(logging.Warn, "WARNING: Received bad push/pull message: too many options")
		a.end(engine.USR1, mgmt.ReasonPushFailed)
		return
	}
	if !complete {
		return
	}
	a.stage.Reach(session.Configured)
	res, err := a.opts.ApplyPushed(a.prof, a.pull.Options.Options)
	if res != nil {
		for _, n := range res.Notes {
			a.c.log(n.Level, "%s", n.Text)
		}
		if res.Rejected != "" {
			a.c.log(logging.Warn, "WARNING: Received bad push/pull message: %s", message.Redact(msg))
			a.end(engine.USR1, mgmt.ReasonPushOffending)
			return
		}
	}
	if err != nil {
		a.c.log(logging.Error, "%v", err)
		if errors.Is(err, config.ErrPulledCompression) {
			a.notApplied("OPTIONS ERROR: server pushed compression settings that are not allowed and will result in a non-working connection. See also allow-compression in the manual.",
				"ERROR: Failed to apply push options")
			return
		}
		a.end(engine.USR1, mgmt.ReasonPushFailed)
		return
	}
	a.imported(res)
}

// renewToken takes a fresh token, which a server sends beside a connection that is up.
func (a *attempt) renewToken(arg string) {
	var list message.PushList
	list.Add(arg)
	o, prof := a.c.opts.Clone(), *a.base
	o.AuthToken, o.AuthTokenUser = "", ""
	if _, err := o.ApplyPushed(&prof, list.Options); err == nil {
		a.pushedToken(o.AuthToken, o.AuthTokenUser)
	}
}

// pushedToken keeps a token for the logins to come.
func (a *attempt) pushedToken(token, user string) {
	a.c.secrets.on(func(s *credentials.Set) { s.Pushed(token, user) })
	if token != "" {
		a.c.port.AuthToken(token)
	}
}

// imported goes on with the options that are now complete.
func (a *attempt) imported(res *config.PushResult) {
	o := a.opts
	for _, e := range o.Echo[min(len(a.c.opts.Echo), len(o.Echo)):] {
		a.c.port.Echo(e)
	}
	for _, e := range o.Env[min(len(a.c.opts.Env), len(o.Env)):] {
		a.c.env.Set(e.Name, e.Value)
	}
	a.pushedToken(o.AuthToken, o.AuthTokenUser)
	a.applyVerb()
	a.setTimers()
	pushed := session.Terms{Cipher: res.Cipher, EKM: o.KeyDerivationEKM, DynamicTLSCrypt: o.DynamicTLSCrypt, CCExit: o.CCExit, Epoch: o.AEADEpoch, V2: o.PeerID >= 0, PeerID: data.NoPeerID}
	if pushed.V2 {
		pushed.PeerID = uint32(o.PeerID)
	}
	terms, problems := session.PushedTerms(o.DataCiphers, o.DataCiphersFallback, pushed, a.their.options)
	if len(problems) > 0 {
		a.notApplied(problems...)
		return
	}
	if err := a.startChannel(terms); err != nil {
		a.c.log(logging.Error, "%v", err)
		a.end(engine.USR1, mgmt.ReasonPushFailed)
		return
	}
	a.bringUp(hex.EncodeToString(res.Digest[:]))
}

// notApplied starts the connection again because options that were pulled cannot work, and says why.
func (a *attempt) notApplied(problems ...string) {
	for _, line := range append(problems, "Failed to open tun/tap interface") {
		a.c.log(logging.Error, "%s", line)
	}
	a.end(engine.USR1, mgmt.ReasonPushFailed)
}

// applyVerb takes over a pushed verb or mute.
func (a *attempt) applyVerb() {
	if a.opts.Verb != a.c.opts.Verb {
		a.c.lg.SetVerb(a.opts.Verb)
	}
	if a.opts.Mute != a.c.opts.Mute {
		a.c.lg.SetMute(a.opts.Mute)
	}
}

// startChannel makes the data channel.
func (a *attempt) startChannel(terms session.Terms) error {
	o, p := a.opts, a.prof
	params := terms.Params(role(o))
	params.Auth, params.TAP, params.Framing = o.Auth, o.DevType == config.DevTap, material.Framing(o.Framing)
	params.Decompress = o.AllowCompression == "asym" || o.AllowCompression == "yes"
	params.ReplayWindow, params.ReplayTime, params.NoReplay = o.ReplayWindow, o.ReplayTime, o.NoReplay
	outer := data.Outer{IPv6: a.peer.Addr.Addr().Is6(), TCP: p.Proto.IsTCP(), SOCKS: p.SOCKSProxy != nil}
	if err := material.SetLimits(&params, p, outer); err != nil {
		return err
	}
	ch, err := a.session.Open(terms, params)
	if err != nil {
		return err
	}
	a.channel, a.terms = ch, terms
	a.usageAt = time.Now().Add(usageInterval)
	a.channelOpen()
	return nil
}

// channelOpen starts what goes on while there is a data channel.
func (a *attempt) channelOpen() {
	a.timers.Open()
	if a.opts.MTUTest {
		a.mtuTest.Start(a.prof.TunMTU, time.Now())
	}
}

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
			c.log(logging.Info, "Preserving previous TUN/TAP instance: %s", t.Device().Name())
			a.publish(t)
			if !a.opts.UpRestart {
				a.complete(true)
				return
			}
			a.help(func(ctx context.Context) func() {
				err := t.Restarted(ctx, true)
				return func() { a.opened(true, err) }
			})
			return
		}
		c.log(logging.Info, "NOTE: Pulled options changed on restart, will need to close and reopen TUN/TAP device.")
	}
	a.publish(nil)
	a.help(func(ctx context.Context) func() {
		ok, err := a.openTunnel(ctx, digest)
		return func() { a.opened(ok, err) }
	})
}

// opened is the end of what a helper did to the tunnel.
func (a *attempt) opened(routesOK bool, err error) {
	if err != nil {
		a.stopWith(fatal(err))
		return
	}
	a.complete(routesOK)
}

// openTunnel runs beside the owner, which leaves the client's tunnel alone meanwhile.
func (a *attempt) openTunnel(ctx context.Context, digest string) (routesOK bool, err error) {
	c := a.c
	if c.tunnel != nil {
		if err := c.closeTunnel(engine.Stop{Signal: engine.USR1}); err != nil {
			return false, err
		}
		select {
		case <-time.After(time.Second): // as stock does, for programs that watch devices come and go
		case <-ctx.Done():
			return false, nil
		}
	}
	t, err := c.plan(ctx, a.opts, a.prof, a.peer.Addr.Addr(), digest)
	if err != nil {
		return false, err
	}
	c.tunnel = t
	if err := t.Open(ctx, "init"); err != nil {
		return false, err
	}
	t.read(c)
	a.publish(t)
	return t.RoutesUp(ctx), nil
}

// publish hands the data plane its snapshot.
func (a *attempt) publish(t *device) {
	p := &path{link: a.link, peer: a.peer, channel: a.channel, traffic: &a.traffic, blockV6: a.opts.BlockIPv6, options: a.occ}
	p.static, p.filter = a.session == nil, a.filter
	if t != nil {
		p.device = t.Device()
	}
	a.c.path.Store(p)
}

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
	if own, _ := c.tunnel.Addresses(); c.deps.Tunnel != nil && own.IsValid() {
		c.deps.Tunnel(own)
	}
	if !c.upCalled && c.deps.Up != nil {
		c.upCalled = true
		if err := c.deps.Up(); err != nil {
			a.stopWith(fatal(err))
			return
		}
	}
	c.log(logging.Info, "Initialization Sequence Completed")
	a.tellConnected(routesOK)
	a.describe()
	a.nextUpdate()
}

// tellConnected reports the state CONNECTED.
func (a *attempt) tellConnected(routesOK bool) {
	s := mgmt.State{Name: mgmt.StateConnected, Detail: mgmt.DetailSuccess, Remote: a.peer.Addr}
	s.TunIPv4, s.TunIPv6 = a.c.tunnel.Addresses()
	if !routesOK {
		s.Detail = mgmt.DetailRouteError
	}
	if a.stream() || a.prof.Local != "" {
		s.Local = a.link.LocalAddr()
	}
	a.c.state(s)
	a.recordUp(s)
}

// describe logs what was negotiated.
func (a *attempt) describe() {
	c, o := a.c, a.opts
	cipher := fmt.Sprintf("cipher '%s'", a.terms.Cipher)
	if !a.terms.Authenticated() {
		cipher += fmt.Sprintf(", auth '%s'", o.Auth)
	}
	line := "Data Channel: " + cipher
	if a.terms.V2 {
		line += fmt.Sprintf(", peer-id: %d", a.terms.PeerID)
	}
	if name := compressionName(o); name != "" {
		line += fmt.Sprintf(", compression: '%s'", name)
	}
	c.log(logging.Summary, "%s", line)
	if timers := engine.TimerNames(&a.timers.Limits); len(timers) > 0 {
		c.log(logging.Summary, "Timers: %s", strings.Join(timers, ", "))
	}
	var protocol []string
	if n := a.prof.ExplicitExitNotify; n > 0 {
		protocol = append(protocol, fmt.Sprintf("explicit-exit-notify %d", n))
	}
	if flags := a.terms.Flags(); len(flags) > 0 {
		protocol = append(protocol, "protocol-flags "+strings.Join(flags, " "))
	}
	if len(protocol) > 0 {
		c.log(logging.Summary, "Protocol options: %s", strings.Join(protocol, ", "))
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

// peerNegotiated goes on without a pull: what both key messages say decides.
func (a *attempt) peerNegotiated() {
	if err := a.negotiateAsPeers(); err != nil {
		a.c.log(logging.Error, "%v", err)
		a.c.log(logging.Error, "ERROR: Failed to apply P2P negotiated protocol options")
		a.end(engine.USR1, mgmt.ReasonInitFailed)
		return
	}
	a.bringUp("")
}
