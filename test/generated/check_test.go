//go:build linux

package generated

import (
	"slices"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// The check finds no mistake in what generators write, at either end and with the command lines of their units: what it is afraid of
// works everywhere. In what stock refuses it finds the mistake.
func TestGeneratedIsChecked(t *testing.T) {
	daemontest.RequireOpenVPN(t) // makes keys
	a := newAuthority(t)
	for _, s := range setups(t) {
		for end, args := range map[string][]string{"server": s.ServerArg, "client": s.ClientArg} {
			if s.Refused != "" && s.Refused != end {
				continue
			}
			config := end + ".conf"
			t.Run(s.name+"/"+config, func(t *testing.T) {
				e := s.prepare(t, a, nil, "moongate", config, args)
				found, _ := daemon.Check(slices.Concat([]string{"--cd", e.dir}, e.argv[1:]))
				wrong := 0
				for _, f := range found {
					ofThisProgram := strings.Contains(f.Text, "built with cgo") // the daemon is not, as it is released
					if f.Warning || ofThisProgram {
						continue
					}
					wrong++
					if s.Refused == "" {
						t.Errorf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Text)
					}
				}
				if s.Refused != "" && s.Asks == 0 && wrong == 0 {
					t.Error("stock refuses it, and the check finds nothing")
				}
			})
		}
	}
}
