package server

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// offloaded is a client whose data packets are carried outside this process. A nil one is carried here.
type offloaded struct {
	engine.Offloaded
	counts engine.Counts
	kept   session.Limits // that it was told
}

// offload hands the data packets of a client over, where that is possible.
func (l *links) offload(out engine.Offload, i *instance, p data.Params, farewell bool) error {
	if err := engine.Offloadable(&p, i.link.RemoteAddr().IsValid(), farewell); err != nil {
		l.say.log(i, logging.Info, "NOTE: data packets are not offloaded: %v", err)
		return nil
	}
	peer := engine.OffloadPeer{Params: p, Remote: i.peer.Load().Addr, Local: i.link.LocalAddr(), Socket: transport.Descriptor(i.link), VPN4: i.virtual.v4, VPN6: i.virtual.v6.Addr()}
	o, err := out.Attach(peer, func(why engine.Gone) {
		l.plane.tell(func(h *hub) {
			limits := h.set.limits(i)
			timeOver(h, i, why.End(&limits))
		})
	})
	if err == nil {
		i.offloaded = &offloaded{Offloaded: o}
	}
	return err
}

// tick reads what a client has moved outside.
func (o *offloaded) tick(tr *session.Traffic, total *engine.Totals, now time.Time) error {
	if o == nil {
		return nil
	}
	return o.counts.Tick(o.Offloaded, tr, total, now)
}

// keep takes the timers of silence out of l, and hands them over when they have changed.
func (o *offloaded) keep(l *session.Limits) error {
	if o == nil {
		return nil
	}
	was := o.kept
	if o.kept = *l; was != *l {
		return engine.Keepalive(o, l)
	}
	l.Ping, l.PingRestart, l.PingExit = 0, 0, 0
	return nil
}

// close takes the client back.
func (o *offloaded) close(say *clientLog, i *instance) {
	if o == nil {
		return
	}
	if err := o.Close(); err != nil {
		say.log(i, logging.Error, "%v", err)
	}
}
