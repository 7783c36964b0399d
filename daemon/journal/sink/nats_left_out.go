//go:build nofleet

package sink

import "errors"

// NewNATS is not in this build.
func NewNATS(string, string, string, func(format string, args ...any)) (*Sink, error) {
	return nil, errors.New("this build has no NATS: it was made with the tag nofleet")
}
