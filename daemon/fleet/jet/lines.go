//go:build !nofleet

package jet

import (
	"fmt"
	"sync"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// lines writes the server's log into ours: errors and warnings from verb 3 and 5 on, the rest for debugging.
type lines struct {
	log logging.Func

	mu  sync.Mutex
	bad error // the last error
}

func (l *lines) Noticef(format string, v ...any) {
	l.log(logging.Debug(7), "fleet engine: "+format, v...)
}
func (l *lines) Warnf(format string, v ...any) {
	l.log(logging.At(5), "fleet engine: "+format, v...)
}
func (l *lines) Debugf(format string, v ...any) {
	l.log(logging.Debug(7), "fleet engine: "+format, v...)
}
func (l *lines) Tracef(format string, v ...any) {
	l.log(logging.Debug(9), "fleet engine: "+format, v...)
}

// Fatalf logs and goes on: the server ends itself, and never this process.
func (l *lines) Fatalf(format string, v ...any) { l.Errorf(format, v...) }

func (l *lines) Errorf(format string, v ...any) {
	l.mu.Lock()
	l.bad = fmt.Errorf(format, v...)
	l.mu.Unlock()
	l.log(logging.At(3), "fleet engine: "+format, v...)
}

// worst is the last error, nil for none.
func (l *lines) worst() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bad
}
