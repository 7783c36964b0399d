// Package mux takes the one seat of a management port, stock OpenVPN's for instance, and offers many. Seats, passwords,
// roles, limits, prompts and subscriptions are those of mgmt/server, whose Relay a [Link] is; the connection to the daemon is
// one of mgmt/client.
//
// # What passes through
//
// A command goes to the daemon as it is, and its reply to the seat that asked. Real-time notifications go to the seats that
// subscribed to them; the daemon is subscribed to what any seat wants. Prompts stay until a seat answers and are shown to
// seats that come later; the first answer that the daemon takes wins. Histories are the daemon's own.
//
// # When the daemon goes
//
// Seats stay. They are told by >NOTIFY:info,daemon-lost,REASON, their commands are answered by an ERROR, prompts are dropped.
// The link dials again, 5 s apart at most; once the daemon greets, what the seats want to hear is asked for again, and
// they are told by >NOTIFY:info,daemon-found,GREETING.
//
// # Goroutines
//
// One a link, which dials and waits, and the client's reader, which carries replies and notifications to the queues of the
// seats in the order of the daemon's output and never waits for a seat.
package mux

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// Upstream is a daemon to share out.
type Upstream struct {
	Name    string // by which seats choose it, where there are several
	Addr    string // see client.ParseAddr
	Options client.Options
}

// Config holds what New needs.
type Config struct {
	Upstreams []Upstream // at least one
	Limits    server.Limits
	// Log takes messages about daemons and seats: lowest verbosity, class flag, text. nil: none.
	Log func(verb int, flag, text string)
}

// Mux shares out one daemon or several.
type Mux struct {
	links []*Link
	front *server.Server // where seats come in: the daemon's, or where they choose one
}

// New returns a Mux that is not connected yet.
func New(cfg Config) (*Mux, error) {
	if len(cfg.Upstreams) == 0 {
		return nil, errors.New("no daemon to share out")
	}
	if cfg.Log == nil {
		cfg.Log = func(int, string, string) {}
	}
	m := &Mux{}
	var choices map[string]*server.Server
	if len(cfg.Upstreams) > 1 {
		choices = make(map[string]*server.Server)
	}
	for _, u := range cfg.Upstreams {
		l := &Link{up: u, log: cfg.Log}
		l.srv = server.New(server.Config{Relay: l, Starting: true, Limits: cfg.Limits, Log: cfg.Log, Choices: choices})
		if choices != nil {
			if u.Name == "" || choices[u.Name] != nil {
				return nil, fmt.Errorf("daemon %s: several daemons need a name each", u.Addr)
			}
			choices[u.Name] = l.srv
		}
		m.links = append(m.links, l)
	}
	m.front = m.links[0].srv
	if choices != nil {
		m.front = server.New(server.Config{Limits: cfg.Limits, Log: cfg.Log, Choices: choices})
	}
	return m, nil
}

// Run keeps the links to the daemons up until ctx ends, then ends all sessions.
func (m *Mux) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, l := range m.links {
		all.Go(func() { l.run(ctx) })
	}
	all.Wait()
	m.front.Close()
	for _, l := range m.links {
		l.srv.Close()
	}
}

// Serve lets seats in at a listener, as server.Server.Serve does.
func (m *Mux) Serve(ctx context.Context, ln net.Listener, a server.Access) error {
	return m.front.Serve(ctx, ln, a)
}

// Link is the connection to one daemon. It is the server.Relay of its seats.
type Link struct {
	up  Upstream
	srv *server.Server
	log func(verb int, flag, text string)

	mu     sync.Mutex // guards all below
	client *client.Client
	why    error // there is none
}

// Pauses between two attempts to reach a daemon.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// run dials, and again when the connection ended, until ctx ends.
func (l *Link) run(ctx context.Context) {
	var told string
	for pause := time.Duration(0); ; {
		c, err := l.open(ctx)
		if err != nil {
			l.lose(err)
		}
		l.srv.Begin() // the first commands wait for the first attempt
		if err == nil {
			told, pause = "", 0
			l.log(1, "", "mux: connected to "+l.name())
			select {
			case <-c.Done():
				err = c.Err()
			case <-ctx.Done():
			}
			c.Close()
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			l.lose(err)
		}
		if ctx.Err() != nil {
			return
		}
		if err.Error() != told { // a daemon that is down is news once
			told = err.Error()
			l.log(1, "W", "mux: "+l.name()+": "+told)
		}
		pause = min(max(2*pause, firstPause), lastPause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func (l *Link) name() string {
	if l.up.Name != "" {
		return l.up.Name + " (" + l.up.Addr + ")"
	}
	return l.up.Addr
}

// open dials and tells the seats. Nothing of the daemon reaches them before they know that it is there.
func (l *Link) open(ctx context.Context) (*client.Client, error) {
	ready := make(chan struct{})
	o := l.up.Options
	o.Notify = func(n client.Notification) {
		<-ready
		l.srv.Forward(n)
	}
	defer close(ready)
	c, err := client.Dial(ctx, l.up.Addr, o)
	if err != nil {
		return nil, err
	}
	for _, line := range l.srv.Wanted(c.Version()) {
		c.Send(line, nil, func(client.Reply, error) {})
	}
	l.mu.Lock()
	l.client, l.why = c, nil
	l.mu.Unlock()
	l.srv.Found(c.Greeting())
	return c, nil
}

func (l *Link) lose(err error) {
	l.mu.Lock()
	l.client, l.why = nil, err
	l.mu.Unlock()
	l.srv.Gone(err.Error())
}

// Do implements server.Relay.
func (l *Link) Do(line string, block []string, done func([]string)) {
	l.mu.Lock()
	c, why := l.client, l.why
	l.mu.Unlock()
	if c == nil {
		text := "ERROR: the daemon is not connected"
		if why != nil {
			text += ": " + why.Error()
		}
		done([]string{text})
		return
	}
	c.Send(line, block, func(r client.Reply, err error) {
		if err != nil && len(r.Raw) == 0 {
			r.Raw = []string{"ERROR: " + err.Error()}
		}
		done(r.Raw)
	})
}
