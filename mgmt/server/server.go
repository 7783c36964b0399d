package server

import (
	"context"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
)

// Config configures a Server. The zero value of a field is its default.
type Config struct {
	Controller Controller
	// Relay is a daemon at another port to share out, instead of a Controller. Title, PID, histories, Hold and what follows
	// a disconnect are that daemon's.
	Relay Relay
	// Choices are servers that a seat may move to by the command use. A server with neither Controller nor Relay is where
	// seats choose.
	Choices map[string]*Server
	// Title is the product string of version, help and status.
	Title string
	// Version is the management version announced in the greeting: 5 (default) behaves like 2.6, 6 like 2.7.
	Version int
	// PID is the answer to the pid command; default the process id.
	PID int

	// Log takes the port's own messages: lowest verbosity, class flag, text. It should end in Server.Log as every message
	// of the daemon does, before it returns, so that a logged command precedes its reply. Default: Server.Log itself.
	Log func(verb int, flag, text string)
	// Acted hears of each command that needs more than the role observe, before it runs: the seat, and the command without what may be
	// secret. It returns at once. May be nil.
	Acted func(who, command string)
	// LogCache is the size of the log history in lines, default 250.
	LogCache int

	// Hold, ForgetDisconnect and SignalDisconnect are management-hold, management-forget-disconnect and
	// management-signal.
	Hold             bool
	ForgetDisconnect bool
	SignalDisconnect bool
	// Starting makes the commands of all seats wait for Begin or the first prompt: a seat that is early, and says "hold release"
	// or a password without having been asked, finds the daemon where stock lets the first command in.
	Starting bool

	// Unreachable is a daemon without a management port: there will be no seats.
	Unreachable bool

	Limits Limits
	Now    func() time.Time // default time.Now
}

// Limits bound what seats may cost. The zero value of a field is its default.
type Limits struct {
	Seats      int           // attached at once through one listener; default 64
	PreLogin   int           // connections of one listener without the password yet; default 16, one more ends the oldest
	Droppable  int           // bytes of LOG and BYTECOUNT lines waiting for one seat; default 1 MiB
	Essential  int           // bytes of other notifications waiting for one seat; default 4 MiB
	Replies    int           // bytes of replies waiting for one seat before its commands wait; default 256 KiB
	Relay      time.Duration // for the reply of a daemon behind a Relay; default 15 s
	RelayRate  int           // commands a second that one seat hands on to a daemon behind a Relay, more wait; default 1000
	Handshake  time.Duration // for TLS and password together; default 10 s
	WrongDelay time.Duration // grows with each wrong password of a listener; default 50 ms, at most 2 s together
	Flush      time.Duration // for output still waiting when a session ends; default 1 s
}

func (l *Limits) defaults() {
	setDefault(&l.Seats, 64)
	setDefault(&l.PreLogin, 16)
	setDefault(&l.Droppable, 1<<20)
	setDefault(&l.Essential, 4<<20)
	setDefault(&l.Replies, 256<<10)
	setDefault(&l.Relay, 15*time.Second)
	setDefault(&l.RelayRate, 1000)
	setDefault(&l.Handshake, 10*time.Second)
	setDefault(&l.WrongDelay, 50*time.Millisecond)
	setDefault(&l.Flush, time.Second)
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Sizes of histories that no option changes, and of the log history before one does.
const (
	stateCache = 100
	echoCache  = 100
	logCache   = 250
)

// Server is the management interface of one daemon. All methods may be called from any goroutine.
type Server struct {
	cfg  Config
	wg   sync.WaitGroup // byte counts; sessions are waited for by Serve and ServeConn
	done chan struct{}  // closed by Close

	begin func()        // closes begun, once
	begun chan struct{} // seats wait for it before their first command

	proto atomic.Int64 // the management version

	counts struct {
		sync.Once               // starts the goroutine
		wake      chan struct{} // capacity 1: some seat's interval changed
	}

	mu       sync.Mutex // guards all below
	closed   bool
	hold     bool
	away     bool   // Gone was called, and not yet Found
	greeting string // of INFO
	attendance
	questions
	histories
}

// attendance holds the seats of a Server.
type attendance struct {
	seats     []*seat // attached: greeted, in order of arrival
	lastSeat  uint64  // the newest one's number
	lost      uint64  // lines that slow seats lost, in total
	envFilter int     // what new seats start with
	version   int     // what new seats start with: the protocol version that a seat announces
}

// questions hold the prompts that wait, and the seats whose answers were taken.
type questions struct {
	prompts  []*prompt
	answered map[answeredKey]*seat // who answered the last prompt of this kind and type
	decided  map[clientKey]*seat   // who decided about a client's key
}

// histories hold the lines that "log", "state" and "echo" show.
type histories struct{ logs, states, echoes ring }

// New returns a Server without listeners.
func New(cfg Config) *Server {
	cfg.Limits.defaults()
	setDefault(&cfg.Version, 5)
	setDefault(&cfg.PID, os.Getpid())
	setDefault(&cfg.LogCache, logCache)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{
		cfg: cfg, done: make(chan struct{}), hold: cfg.Hold, attendance: attendance{version: 1},
		questions: questions{answered: make(map[answeredKey]*seat), decided: make(map[clientKey]*seat)},
		histories: histories{logs: ring{max: cfg.LogCache}, states: ring{max: stateCache}, echoes: ring{max: echoCache}},
	}
	s.proto.Store(int64(cfg.Version))
	s.greeting = Greeting(cfg.Version)
	s.counts.wake = make(chan struct{}, 1)
	s.begun = make(chan struct{})
	s.begin = sync.OnceFunc(func() { close(s.begun) })
	if !cfg.Starting {
		s.begin()
	}
	if s.cfg.Log == nil {
		s.cfg.Log = func(_ int, flag, text string) { s.Log(mgmt.LogEntry{Flags: flag, Text: text}) }
	}
	return s
}

// protocol is the management version.
func (s *Server) protocol() int { return int(s.proto.Load()) }

// Begin lets commands in, if Config.Starting holds them back. It is idempotent.
func (s *Server) Begin() { s.begin() }

// Close ends all sessions after what is queued for them was written, within the flush limit, and every Serve. Prompts
// end with ErrClosed. It is idempotent, and waits for the server's own goroutines, not for Serve and ServeConn.
func (s *Server) Close() {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
		for _, st := range s.seats {
			st.finish()
		}
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// SetLogCache changes the size of the log history (management-log-cache); the newest lines are kept.
func (s *Server) SetLogCache(lines int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.logs.resize(max(1, lines))
}

// Attended reports whether a seat is there to hear of notifications.
func (s *Server) Attended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seats) > 0
}

// Reachable reports whether seats can come, and answer a question.
func (s *Server) Reachable() bool { return !s.cfg.Unreachable }

// HoldFlag tells whether the next start will hold.
func (s *Server) HoldFlag() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hold
}

// Seats counts the attached clients; answering those among them that may answer prompts or operate the daemon.
func (s *Server) Seats() (all, answering int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.seats {
		if st.role.CanAnswer() {
			answering++
		}
	}
	return len(s.seats), answering
}

// Lost counts the lines that slow seats lost so far.
func (s *Server) Lost() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

// logf writes one of the port's own messages. It must be called without locks.
func (s *Server) logf(verb int, flag, text string) { s.cfg.Log(verb, flag, text) }

// Access is who may attach through a listener or connection, and as what.
type Access struct {
	// Role of a seat when Passwords is empty; default admin.
	Role mgmt.Role
	// Passwords, if any, are asked for; each gives its role. The first match wins.
	Passwords []Password
	// Check refuses a connection before a byte is sent, by its error, which is logged. PeerCredentials makes one.
	Check func(net.Conn) error
	// Dialed tells that we called the other end, and logged that.
	Dialed bool
	// Name names the other end in the log; default is its address.
	Name string
	// LogRate is how many commands of the other end are logged in a second; 0: all are. The others are counted.
	LogRate int
}

// Password admits a client to a role, default admin.
type Password struct {
	Text string
	Role mgmt.Role
}

// String keeps the text out of logs and errors.
func (Password) String() string { return "[...]" }

// ending is how many sessions of a listener may be about to end.
const ending = 32

// Serve accepts clients on ln until ctx ends, the server is closed or ln fails, then closes ln and ends the sessions it
// brought, and returns when they are over. The error is nil unless ln failed. A tunnel listener is one whose ctx ends
// with the tunnel.
func (s *Server) Serve(ctx context.Context, ln net.Listener, a Access) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var sessions sync.WaitGroup
	defer sessions.Wait()
	stop := context.AfterFunc(ctx, func() { ln.Close() })
	defer stop()
	sessions.Go(func() {
		select {
		case <-s.done:
			cancel()
		case <-ctx.Done():
		}
	})
	defer cancel()
	in := &door{}
	// Sessions that are ending still cost something: a flood of connections waits in the kernel's backlog.
	slots := make(chan struct{}, s.cfg.Limits.Seats+s.cfg.Limits.PreLogin+ending)
	for delay := time.Duration(0); ; {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		conn, err := ln.Accept()
		if err == nil {
			delay = 0
			sessions.Go(func() {
				defer func() { <-slots }()
				_ = s.session(ctx, conn, a, in)
			})
			continue
		}
		<-slots
		if ctx.Err() != nil {
			return nil
		}
		if ne, ok := err.(interface{ Temporary() bool }); !ok || !ne.Temporary() {
			ln.Close()
			return err
		}
		// Out of descriptors, most likely: what is attached goes on, the next accept waits.
		delay = min(max(2*delay, 5*time.Millisecond), time.Second)
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
}

// ServeConn serves one client on conn, which may be one end of a net.Pipe, until the session ends or ctx does, and closes
// conn. management-client is ServeConn on a connection that was dialed.
func (s *Server) ServeConn(ctx context.Context, conn net.Conn, a Access) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return s.session(ctx, conn, a, &door{})
}
