//go:build linux

package conformance

import (
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/mux"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// lostBehindMux begins the line by which a mux tells that the daemon is gone; its seats stay.
const lostBehindMux = ">" + mgmt.KindNotify + ":info," + mgmt.NotifyLost + ","

// muxed is a mux in front of the stock daemon's port.
type muxed struct {
	address   string
	connected chan struct{} // closed when the daemon was reached
	cancel    context.CancelFunc
	running   sync.WaitGroup
}

// newMux shares the port of an arena out.
func newMux(t *testing.T, a *arena) *muxed {
	t.Helper()
	x := &muxed{address: filepath.Join(a.dir, "mux"), connected: make(chan struct{})}
	up := mux.Upstream{Addr: a.address}
	access := server.Access{}
	if a.s.password != "" {
		up.Options.Password = func(context.Context) (string, error) { return a.s.password, nil }
		access.Passwords = []server.Password{{Text: a.s.password}}
	}
	var once sync.Once
	m, err := mux.New(mux.Config{Upstreams: []mux.Upstream{up}, Log: func(_ int, _, text string) {
		if strings.HasPrefix(text, "mux: connected") {
			once.Do(func() { close(x.connected) })
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := server.ListenUnix(x.address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	x.cancel = cancel
	x.running.Go(func() { m.Run(ctx) })
	x.running.Go(func() { _ = m.Serve(ctx, ln, access) })
	return x
}

func (x *muxed) stop() {
	x.cancel()
	x.running.Wait()
}

// ready waits for the first connection.
func (x *muxed) ready() error {
	select {
	case <-x.connected:
		return nil
	case <-time.After(patience):
		return errors.New("the mux has not reached the daemon")
	}
}

// notThroughMux are scenarios that a mux cannot play, with the reason.
var notThroughMux = map[string]string{
	"client-forget-disconnect": "the daemon's one client, the mux, does not leave with its seats",
	"client-two-sigterms":      "stock tells two signals in one piece from two in a row, and a mux waits for the first reply",
	"management-signal":        "the daemon's one client, the mux, does not leave with its seats",
}

// commandLine is the daemon's log about a command. A mux sends some of its own and answers others by itself.
var commandLine = regexp.MustCompile(`MANAGEMENT: CMD '`)

func withoutCommands(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), commandLine.MatchString)
}

// behindMux takes out the hunks that the scenario declares for our own port: the seats of a mux are its seats.
func behindMux(s *scenario, hunks []hunk) (rest []hunk) {
	for _, h := range hunks {
		if !slices.ContainsFunc(s.differs, func(d difference) bool {
			return slices.Equal(withoutCommands(d.stock), h.stock) && slices.Equal(withoutCommands(d.ours), h.ours)
		}) {
			rest = append(rest, h)
		}
	}
	return rest
}

// TestConformanceThroughMux plays every scenario on the stock daemon, and on another one through a mux: the same comes out.
func TestConformanceThroughMux(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("plays in real time, with network namespaces")
	}
	stock := daemontest.RequireOpenVPN(t)
	for _, s := range scenarios(t) {
		t.Run(s.name, func(t *testing.T) {
			if why := notThroughMux[s.name]; why != "" {
				t.Skip(why)
			}
			if strings.HasPrefix(s.listen, "dial") {
				t.Skip("management-client: the daemon calls, a mux does too")
			}
			skipForeign(t, s, releaseOf(t, stock))
			t.Parallel()
			direct, through := newArena(t, s, []string{stock}, stock), newArena(t, s, []string{stock}, stock)
			through.mux = newMux(t, through)
			compareMux(t, direct, through)
		})
	}
}

func compareMux(t *testing.T, direct, through *arena) {
	t.Helper()
	var wantErr, gotErr error
	var want, got []string
	var both sync.WaitGroup
	both.Go(func() { want, wantErr = direct.play() })
	both.Go(func() { got, gotErr = through.play() })
	both.Wait()
	tell(t, want, wantErr, direct)
	hunks := behindMux(direct.s, diff(withoutCommands(want), withoutCommands(got)))
	for _, h := range hunks {
		t.Errorf("direct (-) and through the mux (+) differ:\n%s", report(h, want))
	}
	if gotErr != nil {
		t.Errorf("through the mux: %v", gotErr)
	}
	if len(hunks) > 0 || gotErr != nil {
		t.Logf("through the mux in full:\n%s\n%s", strings.Join(got, "\n"), through.logs())
	}
}
