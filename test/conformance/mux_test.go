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

// muxRelease is the stock daemon that has a mux in front of it.
const muxRelease = "2.6"

// notThroughMux says why a scenario is not played through a mux, "" for those that are.
func notThroughMux(s *scenario) string {
	if strings.HasPrefix(s.listen, "dial") {
		return "management-client: the daemon calls, a mux does too"
	}
	return map[string]string{
		"client-forget-disconnect": "the daemon's one client, the mux, does not leave with its seats",
		"client-two-sigterms":      "stock tells two signals in one piece from two in a row, and a mux waits for the first reply",
		"management-signal":        "the daemon's one client, the mux, does not leave with its seats",
	}[s.name]
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

// compareMux holds what came through a mux to stock's transcript.
func compareMux(t *testing.T, direct, through *performance) {
	t.Helper()
	hunks := behindMux(direct.s, diff(withoutCommands(direct.said), withoutCommands(through.said)))
	for _, h := range hunks {
		t.Errorf("direct (-) and through the mux (+) differ:\n%s", report(h, direct.said))
	}
	through.blame(t, len(hunks) > 0)
}
