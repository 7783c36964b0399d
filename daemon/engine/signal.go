package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
)

// Signal is one of the five signals the daemon knows. Their order is their rank: a pending signal is replaced only by
// one of a higher rank.
type Signal uint8

// The signals by rank. SIGUSR2 never ends anything: it asks for statistics.
const (
	None Signal = iota
	USR2
	USR1
	HUP
	TERM
	INT
)

// String returns the name as commands and log lines spell it, "SIGUSR1".
func (s Signal) String() string {
	switch s {
	case USR2:
		return "SIGUSR2"
	case USR1:
		return "SIGUSR1"
	case HUP:
		return "SIGHUP"
	case TERM:
		return "SIGTERM"
	case INT:
		return "SIGINT"
	default:
		return "SIGNONE"
	}
}

// ParseSignal is the inverse of String. It reports false for anything but the five names.
func ParseSignal(name string) (Signal, bool) {
	for s := USR2; s <= INT; s++ {
		if s.String() == name {
			return s, true
		}
	}
	return None, false
}

// Source tells where a signal came from. It is the word in brackets of the last log line.
type Source uint8

// Sources of signals.
const (
	Hard             Source = iota // a real signal, or the management command
	Soft                           // raised by the engine
	ConnectionFailed               // raised by the engine while connecting
)

// String returns the word of log lines.
func (s Source) String() string {
	switch s {
	case Soft:
		return "soft"
	case ConnectionFailed:
		return "connection failed(soft)"
	default:
		return "hard"
	}
}

// Stop is why an instance ends.
type Stop struct {
	Signal Signal
	Source Source
	Reason string // "ping-restart"; empty for a hard signal in a running instance
	Err    error  // set when the end is an error: the process exits with status 1
}

// Line is the log line of the transition, for a process or for a client instance of a server.
//
//	SIGUSR1[soft,ping-restart] received, process restarting
func (s Stop) Line(who string) string {
	what := "restarting"
	if s.Signal >= TERM {
		what = "exiting"
	}
	return fmt.Sprintf("%s[%s,%s] received, %s %s", s.Signal, s.Source, s.Reason, who, what)
}

// StateReason is the reason field of the RECONNECTING and EXITING states: the soft reason, or the signal's name.
func (s Stop) StateReason() string {
	if s.Reason != "" {
		return s.Reason
	}
	return s.Signal.String()
}

// Env is the value of the script variable "signal": the soft reason, or the signal's name in lower case.
func (s Stop) Env() string {
	if s.Reason != "" {
		return s.Reason
	}
	switch s.Signal {
	case USR1:
		return "sigusr1"
	case HUP:
		return "sighup"
	case INT:
		return "sigint"
	default:
		return "sigterm"
	}
}

// Signals holds the one pending signal. The zero value is not ready; use NewSignals. All methods are safe for
// concurrent use.
type Signals struct {
	wake chan struct{} // capacity 1; sent to by Raise, never closed
	usr2 chan struct{} // capacity 1; statistics were asked for

	mu      sync.Mutex // guards what follows
	pending Stop
	remap   Signal               // what SIGUSR1 becomes, None for itself
	watch   map[int]func(Signal) // told of each signal that is raised
	next    int                  // key of the next watch
}

// NewSignals returns an empty mailbox.
func NewSignals() *Signals {
	return &Signals{wake: make(chan struct{}, 1), usr2: make(chan struct{}, 1), watch: make(map[int]func(Signal))}
}

// Remap sets what SIGUSR1 becomes, soft ones included; None leaves it alone.
func (s *Signals) Remap(to Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remap = to
}

// Effective returns what sig becomes after the remapping of SIGUSR1.
func (s *Signals) Effective(sig Signal) Signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sig == USR1 && s.remap != None {
		return s.remap
	}
	return sig
}

// Raise makes stop pending unless one of the same or a higher rank is, and returns the effective signal. SIGUSR2 goes
// to Statistics instead.
func (s *Signals) Raise(stop Stop) Signal {
	stop.Signal = s.Effective(stop.Signal)
	if stop.Signal == USR2 {
		poke(s.usr2)
		return USR2
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if stop.Signal > s.pending.Signal {
		s.pending = stop
	}
	for _, tell := range s.watch {
		tell(stop.Signal)
	}
	poke(s.wake)
	return stop.Signal
}

// Wake receives after every Raise that is not SIGUSR2. One reader at a time.
func (s *Signals) Wake() <-chan struct{} { return s.wake }

// Statistics receives when SIGUSR2 was raised.
func (s *Signals) Statistics() <-chan struct{} { return s.usr2 }

// Pending returns the pending signal without taking it.
func (s *Signals) Pending() (Stop, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending, s.pending.Signal != None
}

// Take returns the pending signal and clears it.
func (s *Signals) Take() (Stop, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pending
	s.pending = Stop{}
	return p, p.Signal != None
}

// Context returns a context that ends when a signal is or becomes pending, for steps that block.
// Call cancel when the step is over.
func (s *Signals) Context(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending.Signal != None {
		cancel()
	}
	return ctx, s.follow(func(Signal) { cancel() }, cancel)
}

// Insisted returns a context for one step of the way down. The signal that began the way down does not interrupt it, but a further
// one to end does, once the step has had its spare time: a program that ends the daemon may send two signals in a row.
// Call cancel when the step is over.
func (s *Signals) Insisted(ctx context.Context, spare time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	since := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	return ctx, s.follow(func(sig Signal) {
		if sig >= TERM {
			time.AfterFunc(spare-time.Since(since), cancel)
		}
	}, cancel)
}

// follow has tell called at each Raise, until the result is called, which calls cancel. The caller holds mu.
func (s *Signals) follow(tell func(Signal), cancel context.CancelFunc) context.CancelFunc {
	id := s.next
	s.next++
	s.watch[id] = tell
	return func() {
		s.mu.Lock()
		delete(s.watch, id)
		s.mu.Unlock()
		cancel()
	}
}

// Interrupted takes the signal that interrupted a start, when no packets were handled. SIGUSR1 is taken for SIGHUP there.
func (s *Signals) Interrupted() Stop {
	stop, ok := s.Take()
	if !ok {
		return Stop{Signal: TERM, Reason: mgmt.ReasonInitInstance}
	}
	if stop.Source == Hard && stop.Reason == "" {
		stop.Reason = mgmt.ReasonInitInstance
		if stop.Signal == USR1 {
			stop.Signal, stop.Reason = HUP, mgmt.ReasonUSR1ToHUP
		}
	}
	return stop
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
