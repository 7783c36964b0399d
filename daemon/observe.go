package daemon

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/journal/sink"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/metrics"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// observers are who is told what happens. Each may be nil.
type observers struct {
	run     int64 // of the events
	journal *journal.Writer
	metrics *metrics.Metrics
	sinks   []*sink.Sink
}

// Record implements the engines' Recorder.
func (o *observers) Record(e journal.Event) {
	o.journal.Record(e)
	o.metrics.Record(e)
	for _, s := range o.sinks {
		s.Record(e.Stamped(o.run))
	}
}

// close hands on what waits.
func (o *observers) close() {
	o.journal.Close()
	var wg sync.WaitGroup
	for _, s := range o.sinks {
		wg.Go(s.Close)
	}
	wg.Wait()
}

// openSinks opens where events are handed on to.
func (p *process) openSinks() error {
	o := p.opts.Journal
	log := func(format string, args ...any) { p.lg.Msg(logging.Warn, format, args...) }
	if o.Syslog {
		s, err := sink.NewSyslog("moongate", log)
		if err != nil {
			return fmt.Errorf("journal-syslog: %w", err)
		}
		p.seen.sinks = append(p.seen.sinks, s)
	}
	if o.NATS != "" {
		s, err := sink.NewNATS(o.NATS, o.NATSSubject, o.NATSCredentials, log)
		if err != nil {
			return fmt.Errorf("journal-nats: %w", err)
		}
		p.seen.sinks = append(p.seen.sinks, s)
	}
	if o.Webhook == "" {
		return nil
	}
	var secret []byte
	if o.Secret.Set() {
		line, err := firstLine(o.Secret)
		if err != nil {
			return fmt.Errorf("journal-webhook: %w", err)
		}
		if secret = []byte(line); len(secret) == 0 {
			return fmt.Errorf("journal-webhook: %s has no secret in its first line", o.Secret.Path)
		}
	}
	s, err := sink.NewWebhook(o.Webhook, secret, log)
	if err != nil {
		return fmt.Errorf("journal-webhook: %w", err)
	}
	p.seen.sinks = append(p.seen.sinks, s)
	return nil
}

// lost is how many events the sinks lost, by their names.
func (o *observers) lost() map[string]uint64 {
	lost := make(map[string]uint64)
	for _, s := range o.sinks {
		lost[s.Name()] += s.Dropped()
	}
	return lost
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
	m := metrics.New(metrics.Source{
		Version: Version, Names: o.Clients, Totals: &p.totals,
		Engine: func() engine.Counted {
			c, _ := p.engine().(engine.Counted)
			return c
		},
		Seats: func() int {
			n, _ := p.port.Seats()
			return n
		},
		SinksLost: p.seen.lost, SeatsLost: p.port.Lost, JournalLost: p.seen.journal.Dropped, JournalQueue: p.seen.journal.Waiting, Scripts: p.lua.Scripts,
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
