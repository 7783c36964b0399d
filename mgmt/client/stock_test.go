package client_test

import (
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// startStock runs the stock daemon in its initial hold and returns the path of its management socket.
func startStock(t *testing.T) string {
	t.Helper()
	bin, err := exec.LookPath("openvpn")
	if err != nil {
		t.Skip("the stock openvpn is not installed")
	}
	sock := filepath.Join(t.TempDir(), "m.sock")
	cmd := exec.Command(bin, "--dev", "null", "--management", sock, "unix", "--management-hold", "--verb", "3")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return sock
}

// dialSoon dials until the daemon listens.
func dialSoon(t *testing.T, addr string, o client.Options) *client.Client {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		c, err := client.Dial(t.Context(), addr, o)
		if err == nil {
			t.Cleanup(func() { c.Close() })
			return c
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestStockDaemon(t *testing.T) {
	sock := startStock(t)
	c := dialSoon(t, sock, client.Options{})
	ctx := t.Context()
	hold, err := c.Subscribe(mgmt.KindHold).Next(ctx)
	if err != nil || hold.Text != "Waiting for hold release:0" {
		t.Fatalf("%+v, %v", hold, err)
	}
	if v, err := c.Versions(ctx); err != nil || v.Management != 5 || v.Daemon == "" {
		t.Errorf("%+v, %v", v, err)
	}
	if s, err := c.State(ctx); err != nil || s.Name != "CONNECTING" {
		t.Errorf("%+v, %v", s, err)
	}
	if l, err := c.Log(ctx, 0); err != nil || len(l) < 3 {
		t.Errorf("%+v, %v", l, err)
	}
	if on, err := c.HoldFlag(ctx); err != nil || !on {
		t.Errorf("%v, %v", on, err)
	}
	if _, err := c.LoadStats(ctx); err != nil {
		t.Error(err)
	}
	var re *client.ReplyError
	if _, err := c.Status(ctx); !errors.As(err, &re) {
		t.Errorf("status in a hold: %v", err)
	}
	if _, err := c.Block(ctx, "pk-sig", []string{"aGVsbG8=", "d29ybGQ="}); !errors.As(err, &re) {
		t.Errorf("pk-sig without a request: %v", err)
	}
	for _, cmd := range []string{"version 3", `pid "x`, "log on 3", "test 3", "help", "verb", "auth-retry", "net", "state on all"} {
		if _, err := c.Cmd(ctx, cmd); err != nil && !errors.As(err, &re) {
			t.Errorf("%s: %v", cmd, err)
		}
	}
	if pid, err := c.PID(ctx); err != nil || pid == 0 {
		t.Errorf("out of step at the end: %d, %v", pid, err)
	}

	// The only place is ours: a second client is accepted by the kernel and gets no greeting.
	start := time.Now()
	_, err = client.Dial(ctx, sock, client.Options{GreetingTimeout: 100 * time.Millisecond})
	if !errors.Is(err, client.ErrNoGreeting) || time.Since(start) > 5*time.Second {
		t.Errorf("second client: %v after %v", err, time.Since(start))
	}
}

// Stock writes a list over TCP in two segments and holds the second back until the first is acknowledged: our end does so
// at once.
func TestStockListsAreQuick(t *testing.T) {
	bin, err := exec.LookPath("openvpn")
	if err != nil {
		t.Skip("the stock openvpn is not installed")
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	ln.Close()
	cmd := exec.Command(bin, "--dev", "null", "--management", "127.0.0.1", port, "--management-hold")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	c := dialSoon(t, "127.0.0.1:"+port, client.Options{})
	for _, line := range []string{"state", "state all", "log all", "help", "version", "log on all", "echo all"} {
		best := time.Hour
		for range 20 { // the machine may be busy
			start := time.Now()
			if _, err := c.Cmd(t.Context(), line); err != nil {
				t.Fatal(err)
			}
			best = min(best, time.Since(start))
		}
		if best > 15*time.Millisecond {
			t.Errorf("%s took %v", line, best)
		}
	}
}
