package client

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/material"
	"github.com/moongate-vpn/moongate/daemon/session"
)

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

// usageInterval is how often a key's use is compared with its limits.
const usageInterval = time.Second

// checkUsage renews a key that has carried enough.
func (a *attempt) checkUsage(now time.Time) {
	most := session.Usage{Bytes: uint64(max(a.opts.RenegBytes, 0)), Packets: uint64(max(a.opts.RenegPackets, 0))}
	if a.session.RenewUsed(most, now) {
		a.usageAt = now.Add(a.opts.HandWindow / 2)
	}
}
