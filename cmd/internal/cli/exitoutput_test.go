package cli

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// failing is an output that takes nothing.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// What cannot be written is a failure of every command that writes, also where the daemon did what it was told. A reader that went is
// none, and hides none.
func TestExitCodesWithoutOutput(t *testing.T) {
	for _, c := range exitCases {
		if word, _, _ := strings.Cut(c.args, " "); slices.Contains([]string{"run", "record", "events"}, word) {
			continue // a script and a recording do not depend on standard output; events waits for one
		}
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			run := func(out io.Writer) (int, string) {
				d := mgmttest.NewDaemon(t, server.Config{})
				for _, l := range []string{"mode server", "peer 0 1 laptop 192.0.2.7:40000", "state CONNECTED SUCCESS 10.8.0.1", "log I first", "echo first"} {
					if err := d.Do(l); err != nil {
						t.Fatal(err)
					}
				}
				args := append(strings.Fields(c.args), "-a", d.ListenTCP(server.Access{}))
				var errs bytes.Buffer
				world := &env.Env{In: strings.NewReader(c.in), Out: out, Err: &errs, Getenv: func(string) string { return "" }}
				return Run(t.Context(), world, "test", args), errs.String()
			}
			var out bytes.Buffer
			want, _ := run(&out)
			if got, said := run(failing{fmt.Errorf("write: %w", syscall.EPIPE)}); got != want && !strings.HasPrefix(c.args, "exec") { // which stops before its second line
				t.Errorf("a reader that went: exit code %d, want %d\n%s", got, want, said)
			}
			if out.Len() > 0 {
				want = env.CodeDaemon
			}
			if got, said := run(failing{fmt.Errorf("write: %w", syscall.ENOSPC)}); got != want || said == "" {
				t.Errorf("a full disk: exit code %d, want %d\n%s", got, want, said)
			}
		})
	}
}
