//go:build unix

package sink

import (
	"context"
	"encoding/json"
	"log/syslog"
	"time"

	"github.com/moongate-vpn/moongate/daemon/journal"
)

type localSyslog struct{ w *syslog.Writer }

// NewSyslog returns a sink that writes events to the syslog of this machine: facility daemon, severity info, a JSON value each.
func NewSyslog(tag string, log func(format string, args ...any)) (*Sink, error) {
	w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_INFO, tag)
	if err != nil {
		return nil, err
	}
	return newSink("syslog", &localSyslog{w}, log, pauses{time.Second, time.Minute}), nil
}

func (s *localSyslog) put(_ context.Context, _ string, batch []journal.Event) (taken int, err error) {
	for n, e := range batch {
		b, err := json.Marshal(e)
		if err != nil {
			continue // only a float without a value has no form
		}
		if _, err := s.w.Write(b); err != nil {
			return n, err
		}
	}
	return len(batch), nil
}
