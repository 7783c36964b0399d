//go:build !unix

package sink

import "errors"

// NewSyslog fails: this system has no syslog.
func NewSyslog(string, func(format string, args ...any)) (*Sink, error) {
	return nil, errors.New("this system has no syslog")
}
