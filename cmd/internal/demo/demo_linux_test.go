package demo_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli"
	"github.com/moongate-vpn/moongate/cmd/internal/demo"
	"github.com/moongate-vpn/moongate/cmd/luahost"
	"github.com/moongate-vpn/moongate/daemon"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// asProgram in the environment makes this test program moongate.
const asProgram = "MOONGATE_DEMO_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	os.Exit(cli.Main(cli.Program{Daemon: func(ctx context.Context, args, _ []string) int {
		return daemon.Main(ctx, args, daemon.Env{Scripts: luahost.Host{}})
	}}, os.Args))
}

// output collects what a demonstration prints, and calls seen with the whole after each write.
type output struct {
	mu   sync.Mutex
	b    bytes.Buffer
	seen func(all string)
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b.Write(p)
	if o.seen != nil {
		o.seen(o.b.String())
	}
	return len(p), nil
}

// play runs the demonstration with this test program as moongate.
func play(t *testing.T, ctx context.Context, out *output) error {
	t.Helper()
	return playWith(t, ctx, out, demo.Options{})
}

func playWith(t *testing.T, ctx context.Context, out *output, o demo.Options) error {
	t.Helper()
	daemontest.RequireRoot(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(asProgram, "1")
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	o.Out, o.Err, o.Program = out, out, exe
	return demo.Run(ctx, o)
}

// wantClean fails the test when the demonstration left something.
func wantClean(t *testing.T) {
	t.Helper()
	for _, pattern := range []string{"/run/netns/mgdemo-?" + strconv.Itoa(os.Getpid()), filepath.Join(os.TempDir(), "moongate-demo-*")} {
		if left, _ := filepath.Glob(pattern); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestDemonstration(t *testing.T) {
	out := &output{}
	if err := play(t, t.Context(), out); err != nil {
		t.Fatalf("%v\n%s", err, out.b.String())
	}
	wantClean(t)
	for _, want := range []string{"luna may come in", "answered as luna", "3 received", "TUN/TAP read bytes", "AES-256-GCM", "Done."} {
		if !strings.Contains(out.b.String(), want) {
			t.Errorf("the demonstration does not show %q:\n%s", want, out.b.String())
		}
	}
}

// A fleet of three loses a node, and its client nothing.
func TestFleetDemonstration(t *testing.T) {
	daemontest.RequireRoot(t)
	out := &output{}
	if err := playWith(t, t.Context(), out, demo.Options{Fleet: true}); err != nil {
		t.Fatalf("%v\n%s", err, out.b.String())
	}
	wantClean(t)
	for _, want := range []string{"led by", "luna may come in", "back ", "3 received", "2 of 3 targets answered, not: edge1", "Done."} {
		if !strings.Contains(out.b.String(), want) {
			t.Errorf("the demonstration does not show %q:\n%s", want, out.b.String())
		}
	}
}

func TestInterruptedDemonstrationCleansUp(t *testing.T) {
	for _, at := range []string{"[2/8]", "[4/8]", "[6/8]"} {
		t.Run(at, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			out := &output{seen: func(all string) {
				if strings.Contains(all, at) {
					cancel()
				}
			}}
			if err := play(t, ctx, out); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want that it was interrupted\n%s", err, out.b.String())
			}
			wantClean(t)
		})
	}
}
