package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/daemon/fleet/node"
	"github.com/moongate-vpn/moongate/daemon/fleet/reach"
	"github.com/moongate-vpn/moongate/daemon/fleet/relay"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/journal/index"
	"github.com/moongate-vpn/moongate/daemon/logging"
	vpnserver "github.com/moongate-vpn/moongate/daemon/server"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// fleetPart is the daemon's part in a fleet: a node with its engine, and the member that serves the server. It lives as long as the
// process; servers come and go.
type fleetPart struct {
	p      *process
	node   *node.Node
	member *fleet.Member

	unprivileged chan struct{} // closed when the process is the user that it stays
	begun        sync.Once

	neighbours *reach.Neighbours // nil without fleet-route proxy-arp
	relay      atomic.Pointer[relay.Relay]

	poke chan struct{}
	mu   sync.Mutex // guards what follows
	ends []vpnserver.Ending
	stop context.CancelFunc // of the drain that goes on, nil without one
}

// copyDir is the folder in a node's folder that holds its copy of what the nodes remember.
const copyDir = "copy"

// openFleet makes the daemon a node, where the options say so.
func (p *process) openFleet() error {
	o := p.opts.Fleet
	switch {
	case o.Dir == "" && o.Route.Set():
		return errors.New("fleet-route: there is no fleet; add fleet DIR")
	case o.Dir == "":
		return nil
	case !p.opts.ModeServer:
		return errors.New("fleet: only a server is a node of a fleet; add mode server, or server NETWORK NETMASK")
	case p.opts.Chroot != "":
		return errors.New("fleet: a node's engine needs its folder under its own name: remove chroot")
	}
	slots, pool, err := vpnserver.FleetPool(p.opts)
	if err != nil {
		return err
	}
	f := &fleetPart{p: p, poke: make(chan struct{}, 1), unprivileged: make(chan struct{})}
	if err := f.openRoute(p.opts); err != nil {
		return err
	}
	var member atomic.Pointer[fleet.Member]
	no := node.Options{Log: p.lg.Msg, Manage: p.manageForFleet, History: historyOf(p.opts.Journal.Dir), Begin: f.unprivileged, Member: func() *fleet.Status {
		if m := member.Load(); m != nil {
			return new(m.Status())
		}
		return nil
	}}
	if o.Route.Relay {
		no.Relay = f.acceptRelay
	}
	if f.node, err = node.Open(p.ctx, o.Dir, no); err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	f.member, err = fleet.New(fleet.Config{
		Node: f.node.Name(), Store: f.node.Store(), Folder: filepath.Join(o.Dir, copyDir), Slots: slots, Pool: pool, Host: f,
		Limit: limitOf(p.opts), Alone: len(f.node.Members()) == 1, Addresses: []string{f.node.Folder().Address}, Version: Version,
		Log: func(format string, args ...any) { p.lg.Msg(logging.Steps, format, args...) },
	})
	if err != nil {
		f.node.Close()
		return fmt.Errorf("fleet: %w", err)
	}
	member.Store(f.member)
	if err := f.giveFolder(o.Dir); err != nil {
		f.node.Close()
		return fmt.Errorf("fleet: %w", err)
	}
	p.fleet = f
	p.wg.Go(func() {
		defer f.node.Close()
		if f.neighbours != nil {
			defer f.neighbours.Close()
		}
		if err := f.member.Run(p.ctx); err != nil {
			p.lg.Msg(logging.Error, "fleet: %v; newcomers are sent to other nodes", err)
		}
		<-p.ctx.Done()
	})
	p.wg.Go(f.endAll)
	p.wg.Go(f.takeOutLeft)
	return nil
}

// giveFolder gives a node's folder to the user that the daemon becomes. The engine begins after that, so that its files are that user's.
func (f *fleetPart) giveFolder(dir string) error {
	p := f.p
	if p.privileges.uid <= 0 || os.Geteuid() != 0 {
		f.begin()
		return nil
	}
	if err := p.privileges.mayEnter(filepath.Dir(dir)); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, p.privileges.uid, -1)
	})
}

// begin lets the engine begin. A nil part has none.
func (f *fleetPart) begin() {
	if f != nil {
		f.begun.Do(func() { close(f.unprivileged) })
	}
}

// limitOf is the limit of sessions: that of fleet-limit, else one for each common name unless duplicate-cn allows more.
func limitOf(o *config.Options) fleet.Limit {
	switch {
	case o.Fleet.Limit > 0:
		return fleet.Limit{Max: o.Fleet.Limit, Oldest: o.Fleet.Oldest, Strict: o.Fleet.Strict}
	case o.DuplicateCN:
		return fleet.Limit{}
	}
	return fleet.Limit{Single: true}
}

// manageForFleet gives another node's command a seat.
func (p *process) manageForFleet(ctx context.Context, conn net.Conn) {
	_ = p.port.ServeConn(ctx, conn, server.Access{Role: mgmt.RoleAdmin, Name: "fleet"}) // ends with the command
}

// historyOf answers other nodes' questions about the journal in dir: filters in JSON.
func historyOf(dir string) func(ctx context.Context, question []byte, take func([]byte) error) error {
	return func(ctx context.Context, question []byte, take func([]byte) error) error {
		if dir == "" {
			return errors.New("its daemon keeps no journal")
		}
		var f index.Filter
		if err := json.Unmarshal(question, &f); err != nil {
			return fmt.Errorf("the question about history: %w", err)
		}
		return index.Each(ctx, dir, f, func(e *journal.Event) error {
			line, err := json.Marshal(e)
			if err != nil {
				return err
			}
			return take(line)
		})
	}
}

// deps is the fleet for a server, nil without one.
func (f *fleetPart) deps() vpnserver.Fleet {
	if f == nil {
		return nil
	}
	return f.member
}

// server is the server that runs, nil without one.
func (f *fleetPart) server() *vpnserver.Server {
	s, _ := f.p.engine().(*vpnserver.Server)
	return s
}

// End implements fleet.Host.
func (f *fleetPart) End(id uint64, why fleet.Reason) {
	f.mu.Lock()
	f.ends = append(f.ends, vpnserver.Ending{ID: id, Why: why})
	f.mu.Unlock()
	select {
	case f.poke <- struct{}{}:
	default:
	}
}

// endAll hands the clients that the fleet ends to the server.
func (f *fleetPart) endAll() {
	for {
		select {
		case <-f.poke:
		case <-f.p.ctx.Done():
			return
		}
		f.mu.Lock()
		list := f.ends
		f.ends = nil
		f.mu.Unlock()
		if s := f.server(); s != nil {
			s.EndForFleet(list)
			continue
		}
		for _, e := range list {
			f.member.End(e.ID, false)
		}
	}
}

// drain begins a drain in the place of one that goes on.
func (f *fleetPart) drain(deadline time.Duration) {
	ctx, stop := context.WithCancel(f.p.ctx)
	f.mu.Lock()
	if f.stop != nil {
		f.stop()
	}
	f.stop = stop
	f.mu.Unlock()
	f.p.wg.Go(func() {
		defer stop()
		f.member.SetDraining(true)
		s := f.server()
		if s == nil {
			return
		}
		f.p.lg.Msg(logging.Info, "fleet: node %s is drained within %d s", f.node.Name(), int(deadline.Seconds()))
		ended := s.Drain(ctx, deadline)
		if ctx.Err() == nil {
			f.p.lg.Msg(logging.Info, "fleet: node %s has no clients any more; %d were ended at the deadline", f.node.Name(), ended)
		}
	})
}

// fleetController gives a fleet's orders for the management port.
type fleetController struct{ *fleetPart }

// Fleet implements server.Fleeter.
func (c controller) Fleet() server.FleetController {
	if c.fleet == nil {
		return nil
	}
	return fleetController{c.fleet}
}

// Status implements server.FleetController.
func (f fleetController) Status() string {
	b, err := json.Marshal(f.member.Status())
	if err != nil {
		return "{}"
	}
	return string(b)
}

// orderPatience bounds the wait for an order's way to the fleet, orderReach that for the nodes to carry it out.
const (
	orderPatience = 3 * time.Second
	orderReach    = time.Second
)

// Order implements server.FleetController.
func (f fleetController) Order(verb string, o server.FleetOrder) (string, error) {
	ctx, cancel := context.WithTimeout(f.p.ctx, orderPatience)
	defer cancel()
	var err error
	switch verb {
	case "kill":
		var id string
		id, err = f.member.Order(ctx, fleet.Order{Kind: fleet.OrderKill, User: o.User, CommonName: o.CommonName, Reason: o.Reason, By: f.node.Name()})
		if err == nil {
			return f.reached(ctx, id), nil
		}
	case "ban":
		err = f.member.Ban(ctx, fleet.Ban{User: o.User, CommonName: o.CommonName, Reason: o.Reason, By: f.node.Name()})
	case "unban":
		return f.away("ban", func(ctx context.Context) error {
			return f.member.Unban(ctx, fleet.Ban{User: o.User, CommonName: o.CommonName})
		})
	}
	switch {
	case errors.Is(err, fleet.ErrLater):
		return verb + " done at this node; " + mgmt.FleetLater, nil
	case err != nil:
		return "", err
	}
	return verb + " written for all nodes", nil
}

// reached says who has not carried out an order after a moment.
func (f fleetController) reached(ctx context.Context, id string) string {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(orderReach); ; {
		missing := f.member.Missing(id)
		switch {
		case len(missing) == 0:
			return "kill carried out by all nodes"
		case time.Now().After(until) || ctx.Err() != nil:
			return "kill written; " + mgmt.FleetUnconfirmed + strings.Join(missing, " ")
		}
		<-tick.C
	}
}

// Drain implements server.FleetController.
func (f fleetController) Drain(deadline time.Duration) (string, error) {
	if deadline == 0 {
		f.mu.Lock()
		if f.stop != nil {
			f.stop()
			f.stop = nil
		}
		f.mu.Unlock()
		f.member.SetDraining(false)
		return "node " + f.node.Name() + " takes clients again", nil
	}
	if f.server() == nil {
		return "", errors.New("no server is running")
	}
	n := f.member.Status().Sessions
	f.drain(deadline)
	return fmt.Sprintf("draining %d clients of node %s within %d s", n, f.node.Name(), int(deadline.Seconds())), nil
}
