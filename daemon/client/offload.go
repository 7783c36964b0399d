package client

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// offloaded is the peer of an attempt whose data packets are carried outside this process. A nil one is carried here.
type offloaded struct {
	engine.Offloaded
	counts engine.Counts
	at     time.Time // of the next tick
}

// offload hands the data packets of an attempt over, where that is possible. gone is posted to the owner.
func offload(l *line, out engine.Offload, params data.Params, farewell bool, gone func(engine.Gone)) (*offloaded, error) {
	if err := engine.Offloadable(&params, l.stream, farewell); err != nil {
		l.log(logging.Info, "NOTE: data packets are not offloaded: %v", err)
		return nil, nil
	}
	p := engine.OffloadPeer{Params: params, Remote: l.peer.Addr, Local: l.link.LocalAddr(), Socket: transport.Descriptor(l.link)}
	o, err := out.Attach(p, gone)
	if err != nil {
		return nil, err
	}
	return &offloaded{Offloaded: o}, nil
}

// limits are the timers that this process watches. Outside, the pings and the watch for silence are too.
func (o *offloaded) limits(t config.Timers, r *report) session.Limits {
	l := engine.Timers(t)
	if o != nil {
		if err := engine.Keepalive(o, &l); err != nil {
			r.log(logging.Error, "%v", err)
		}
	}
	return l
}

// tick reads what has been moved outside, and returns when to read it again.
func (o *offloaded) tick(tr *session.Traffic, total *engine.Totals, now time.Time) (time.Time, error) {
	switch {
	case o == nil:
		return time.Time{}, nil
	case now.Before(o.at):
		return o.at, nil
	}
	o.at = now.Add(usageInterval)
	return o.at, o.counts.Tick(o.Offloaded, tr, total, now)
}

// close takes the peer back.
func (o *offloaded) close(r *report) {
	if o == nil {
		return
	}
	if err := o.Close(); err != nil {
		r.log(logging.Error, "%v", err)
	}
}
