//go:build linux

package test

import (
	"strings"
	"testing"
	"time"
)

// The status file has a whole report within the first second, whatever its interval, on both ends.
func TestStatusFileFromTheStart(t *testing.T) {
	t.Parallel()
	for name, start := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			s := start(t, l.server, l.serverArgs("--status", l.file("s.status")))
			s.WaitLine(t, up, upLimit)
			c := start(t, l.client, l.clientArgs("--status", l.file("c.status")))
			c.WaitLine(t, up, upLimit)
			for _, file := range []string{"s.status", "c.status"} {
				await(t, file+" is written", 3*time.Second, func() bool { return strings.HasSuffix(fileText(l.file(file)), "END\n") })
			}
		})
	}
}
