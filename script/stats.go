package script

import (
	"encoding/json"
	"time"
)

// State is where a script is in its life.
type State string

// States of a script, in their order.
const (
	StateStarting State = "starting" // its main chunk runs
	StateReady    State = "ready"    // proven, and waiting for its turn
	StateRunning  State = "running"  // events are handled
	StateDraining State = "draining" // what has begun may end
	StateFailed   State = "failed"   // not running: it failed, and waits to be started again
	StateEnded    State = "ended"    // it ended by itself
)

// Status is what a script is doing.
type Status struct {
	State     State     `json:"state"`
	Since     time.Time `json:"since"`
	Handlers  int       `json:"handlers"`
	Events    uint64    `json:"events"`
	Errors    uint64    `json:"errors"`
	Dropped   uint64    `json:"dropped"`
	Memory    int64     `json:"memory"`
	LastError string    `json:"last_error,omitempty"` // with file and line
	Admits    bool      `json:"admits,omitempty"`     // it decides about clients
}

// stats is the status of a runtime and when it was told last.
type stats struct {
	Status
	path string
	told time.Time
	last []byte
}

// statusEvery is how often a status that changes is told.
const statusEvery = 250 * time.Millisecond

func (s *stats) init(path string) {
	s.path, s.Since, s.State = path, time.Now(), StateStarting
}

func (s *stats) failed(e *Error) {
	s.Errors++
	s.LastError = e.Error()
}

// publish tells the status if it changed, not too often.
func (s *stats) publish(r *runtime) {
	if r.o.Status == nil || time.Since(s.told) < statusEvery && s.last != nil {
		return
	}
	s.Handlers = r.live
	s.Admits = len(r.handlers["client.connect"]) > 0 || len(r.handlers["client.reauth"]) > 0
	s.Memory = r.L.Meter.Memory() >> 18 << 18 // in steps, so that an idle script has an idle status
	text, _ := json.Marshal(s.Status)
	if string(text) == string(s.last) {
		return
	}
	s.last, s.told = text, time.Now()
	r.o.Status(s.Status)
}

// next is when a change may be told.
func (s *stats) next() time.Duration {
	if d := statusEvery - time.Since(s.told); d > 0 && s.last != nil {
		return max(d, time.Millisecond)
	}
	return idleWait
}
