package client

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/material"
	"github.com/moongate-vpn/moongate/daemon/session"
)

// startChannel makes the data channel.
func (a *attempt) startChannel(terms session.Terms) error {
	o, p := a.opts, a.prof
	params := terms.Params(role(o))
	if err := material.Packets(&params, o, p, material.Framing(o.Framing), o.AllowCompression, a.outer(p)); err != nil {
		return err
	}
	if out := a.c.deps.Offload; out != nil {
		var err error
		gone := func(why engine.Gone) {
			a.post(func() { limits := engine.Timers(a.opts.Timers); timeOver(a, why.End(&limits)) })
		}
		if a.offloaded, err = offload(&a.line, out, params, terms.CCExit, gone); err != nil {
			return err
		}
	}
	var err error
	if a.offloaded != nil {
		a.timers.Limits = a.offloaded.limits(o.Timers, a.report)
		err = a.session.Attach(terms, a.offloaded)
	} else {
		a.channel, err = a.session.Open(terms, params)
	}
	if err != nil {
		return err
	}
	a.terms = terms
	a.usageAt = time.Now().Add(usageInterval)
	a.channelOpen()
	return nil
}

// channelOpen starts what goes on while there is a data channel.
func (a *attempt) channelOpen() {
	a.timers.Open()
	if a.opts.MTUTest && a.channel != nil {
		a.mtuTest.Start(a.prof.TunMTU, time.Now())
	}
}

// usageInterval is how often a key's use is compared with its limits.
const usageInterval = time.Second

// checkUsage renews a key that has carried enough.
func (a *attempt) checkUsage(now time.Time) {
	if a.session.RenewUsed(a.terms.UsageLimit(a.opts.RenegBytes, a.opts.RenegPackets), now) {
		a.usageAt = now.Add(a.opts.HandWindow / 2)
	}
}
