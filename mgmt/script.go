package mgmt

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ScriptState is where a script of the daemon is in its life.
type ScriptState string

// States of a script, in their order.
const (
	ScriptStarting ScriptState = "starting" // its main chunk runs
	ScriptReady    ScriptState = "ready"    // proven, and waiting for its turn
	ScriptRunning  ScriptState = "running"  // events are handled
	ScriptDraining ScriptState = "draining" // what has begun may end
	ScriptFailed   ScriptState = "failed"   // not running: it failed, and waits to be started again
	ScriptEnded    ScriptState = "ended"    // it ended by itself
)

// ScriptStatus tells what a script is doing.
type ScriptStatus struct {
	Name      string       `json:"name"`
	State     ScriptState  `json:"state"`
	Since     time.Time    `json:"since"` // of this run
	Handlers  int          `json:"handlers"`
	Events    uint64       `json:"events"`
	Errors    uint64       `json:"errors"`
	Dropped   uint64       `json:"dropped"` // events that were lost because the script was too slow
	Memory    int64        `json:"memory"`  // bytes
	LastError string       `json:"last_error,omitempty"`
	Decides   bool         `json:"decides,omitempty"` // it admits clients; not on the port
	Modules   []string     `json:"modules,omitempty"` // files it required; not on the port
	Took      HandlerTimes `json:"took"`              // calls of its handlers; not on the port
}

// HandlerBounds are the upper bounds of the counts of HandlerTimes, in seconds.
var HandlerBounds = [...]float64{0.01, 0.1, 1, 10}

// HandlerTimes says how long calls of handlers took, waits included: a histogram.
type HandlerTimes struct {
	Counts  [len(HandlerBounds) + 1]uint64 `json:"counts"` // of calls that took up to each bound and more than the one before; the last has none
	Seconds float64                        `json:"seconds"`
}

// Observe counts a call.
func (h *HandlerTimes) Observe(d time.Duration) {
	i := 0
	for i < len(HandlerBounds) && d.Seconds() > HandlerBounds[i] {
		i++
	}
	h.Counts[i]++
	h.Seconds += d.Seconds()
}

// Add adds the calls of another.
func (h *HandlerTimes) Add(o HandlerTimes) {
	for i, n := range o.Counts {
		h.Counts[i] += n
	}
	h.Seconds += o.Seconds
}

// String is a line of the reply to scripts, without line ends: the name comes last but one, as it may hold commas, behind
// a count of its own bytes.
//
//	STATE,SINCE,HANDLERS,EVENTS,ERRORS,DROPPED,MEMORY,LENGTH,NAME,LAST ERROR
func (s ScriptStatus) String() string {
	name := clean(s.Name)
	fields := []string{
		string(s.State), strconv.FormatInt(s.Since.Unix(), 10), strconv.Itoa(s.Handlers), strconv.FormatUint(s.Events, 10),
		strconv.FormatUint(s.Errors, 10), strconv.FormatUint(s.Dropped, 10), strconv.FormatInt(s.Memory, 10), strconv.Itoa(len(name)),
		name, clean(s.LastError),
	}
	return strings.Join(fields, ",")
}

func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// ParseScript reads a line of the reply to scripts. The error is ErrFields.
func ParseScript(line string) (ScriptStatus, error) {
	f := strings.SplitN(line, ",", 9)
	if len(f) < 9 {
		return ScriptStatus{}, fmt.Errorf("script status %q: %w", line, ErrFields)
	}
	var n [7]int64
	for i := range n {
		var err error
		if n[i], err = strconv.ParseInt(f[i+1], 10, 64); err != nil {
			return ScriptStatus{}, fmt.Errorf("script status %q: %w", line, ErrFields)
		}
	}
	length := n[6]
	if length < 0 || int64(len(f[8])) <= length || f[8][length] != ',' {
		return ScriptStatus{}, fmt.Errorf("script status %q: %w", line, ErrFields)
	}
	return ScriptStatus{
		State: ScriptState(f[0]), Since: time.Unix(n[0], 0), Handlers: int(n[1]), Events: uint64(n[2]), Errors: uint64(n[3]),
		Dropped: uint64(n[4]), Memory: n[5], Name: f[8][:length], LastError: f[8][length+1:],
	}, nil
}
