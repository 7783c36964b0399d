package script

import (
	"encoding/json"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
)

// stats is the status of a runtime and when it was told last.
type stats struct {
	mgmt.ScriptStatus
	path      string
	told      time.Time
	toldState mgmt.ScriptState
	last      []byte
}

// statusEvery is how often a status that changes is told.
const statusEvery = 250 * time.Millisecond

func (s *stats) init(path string) {
	s.path, s.Name, s.Since, s.State = path, path, time.Now(), mgmt.ScriptStarting
}

func (s *stats) failed(e *Error) {
	s.Errors++
	s.LastError = e.Error()
}

// publish tells the status if it changed, not too often.
func (s *stats) publish(r *runtime) {
	if r.o.Status == nil || time.Since(s.told) < statusEvery && s.last != nil && s.State == s.toldState {
		return
	}
	s.Handlers = r.live
	s.Decides = len(r.handlers["client.connect"]) > 0 || len(r.handlers["client.reauth"]) > 0
	s.Memory = r.L.Meter.Memory() >> 18 << 18 // in steps, so that an idle script has an idle status
	text, _ := json.Marshal(s.ScriptStatus)
	if string(text) == string(s.last) {
		return
	}
	s.last, s.told, s.toldState = text, time.Now(), s.State
	r.o.Status(s.ScriptStatus)
}

// next is when a change may be told.
func (s *stats) next() time.Duration {
	if d := statusEvery - time.Since(s.told); d > 0 && s.last != nil {
		return max(d, time.Millisecond)
	}
	return idleWait
}
