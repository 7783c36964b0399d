//go:build unix

package sink

import (
	"log/syslog"
	"testing"
	"time"
)

func dialSyslog(t *testing.T, path string, l *lines) *Sink {
	t.Helper()
	w, err := syslog.Dial("unixgram", path, syslog.LOG_DAEMON|syslog.LOG_INFO, "moongate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return newSink("syslog", &localSyslog{w}, l.log, pauses{time.Millisecond, 5 * time.Millisecond})
}
