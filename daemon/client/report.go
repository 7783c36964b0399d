package client

import (
	"sync"

	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/mgmt"
)

// report tells the log, the management port and the journal about the connection. Any goroutine may use it.
type report struct {
	lg      *logging.Logger
	port    Port
	journal Recorder // may be nil
	caching sync.Once
}

// Recorder takes what becomes of the connection. Its method returns at once.
type Recorder interface {
	Record(e journal.Event)
}

func (r *report) log(lv logging.Level, format string, args ...any) {
	r.lg.Msg(lv, format, args...)
}

// notice logs an error that passes, as a socket has them.
func (r *report) notice(err error) { r.log(logging.Error, "%v", err) }

// state tells the port and the journal about a new state.
func (r *report) state(s mgmt.State) {
	if r.journal != nil {
		r.journal.Record(journal.Event{Kind: journal.KindState, Text: s.Name, Reason: s.Detail})
	}
	r.port.State(s)
}

// CachingWarning is logged by the engine, once, when the first password is about to be kept; not at start.
const CachingWarning = "WARNING: this configuration may cache passwords in memory -- use the auth-nocache option to prevent this"

// warnCaching says once that passwords stay in memory.
func (r *report) warnCaching() { r.caching.Do(func() { r.log(logging.Warn, CachingWarning) }) }
