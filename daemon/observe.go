package daemon

import (
	"errors"
	"net"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/metrics"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// observers are who is told what happens. Each may be nil.
type observers struct {
	journal *journal.Writer
	metrics *metrics.Metrics
}

// Record implements the engines' Recorder.
func (o *observers) Record(e journal.Event) {
	o.journal.Record(e)
	o.metrics.Record(e)
}

// openMetrics lets Prometheus ask, where the options say.
func (p *process) openMetrics() error {
	o := p.opts.Metrics
	if !o.Set() {
		return nil
	}
	var ln net.Listener
	var err error
	where := o.Unix
	if where != "" {
		ln, err = server.ListenUnix(where)
	} else {
		where = net.JoinHostPort(o.Host, o.Port)
		ln, err = server.ListenTCP(where)
	}
	if err != nil {
		return errors.New("metrics: cannot listen on " + where + ": " + systemError(err).Error())
	}
	names := metrics.NamesOff
	if o.Clients != "" {
		names = o.Clients
	}
	m := metrics.New(metrics.Source{
		Version: Version, Names: names, Totals: &p.totals,
		Engine: func() engine.Counted {
			c, _ := p.engine().(engine.Counted)
			return c
		},
		Seats: func() int {
			n, _ := p.port.Seats()
			return n
		},
		SeatsLost: p.port.Lost, JournalLost: p.seen.journal.Dropped, JournalQueue: p.seen.journal.Waiting, Scripts: p.lua.Scripts,
	})
	p.seen.metrics = m
	p.lg.Msg(logging.Steps, "METRICS: listening on %s", where)
	p.wg.Go(func() {
		if err := m.Serve(p.ctx, ln); err != nil {
			p.lg.Msg(logging.Warn, "METRICS: listener ended: %v", err)
		}
	})
	return nil
}
