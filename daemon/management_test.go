package daemon

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/config"
)

// portProcess is a process with an open port and no engine, and a connection to the port.
func portProcess(t *testing.T, args ...string) (*process, net.Conn) {
	t.Helper()
	sock := filepath.Join(t.TempDir(), "port.sock")
	opts, err := config.Parse(append(args, "--management", sock, "unix"), config.Env{SkipFiles: true})
	if err != nil {
		t.Fatal(err)
	}
	p := newProcess(nil, opts, Env{Stdout: io.Discard, NoSignals: true}.withDefaults())
	t.Cleanup(p.close)
	p.makePort(t.Context())
	if _, err := p.ways.open(p.opts); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return p, conn
}

// Who speaks as soon as the port is open, before the daemon waits for anything, is answered as if it had been waiting:
// nothing said early is lost.
func TestEarlyCommandsFindDaemonWaiting(t *testing.T) {
	p, early := portProcess(t, "--dev", "tun", "--ifconfig", "10.8.0.1", "10.8.0.2", "--cipher", "none", "--auth", "none", "--management-hold")
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if _, err := io.WriteString(early, "state on all\nhold release\nexit\n"); err != nil {
		t.Fatal(err)
	}
	_ = early.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) // all but the greeting would be too early
	all, _ := io.ReadAll(early)
	if err := p.port.Hold(ctx, 0); err != nil {
		t.Errorf("the early hold release was lost: %v", err)
	}
	_ = early.SetReadDeadline(time.Now().Add(5 * time.Second))
	rest, err := io.ReadAll(early)
	if err != nil {
		t.Error(err)
	}
	var got []string
	for line := range strings.Lines(string(append(all, rest...))) {
		line = strings.TrimSpace(line)
		if _, state, ok := strings.Cut(line, ",CONNECTING"); ok {
			line = "CONNECTING" + state
		}
		got = append(got, line)
	}
	want := []string{
		">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info",
		">HOLD:Waiting for hold release:0",
		"SUCCESS: real-time state notification set to ON", "CONNECTING,,,,,,", "END",
		"SUCCESS: hold release succeeded",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A password file without a password is a mistake: an empty line must not open the port.
func TestPasswordFileWithoutPassword(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "blank line": "\nsesame\n", "CR LF": "\r\n"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "pw")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			opts, err := config.Parse([]string{
				"--dev", "tun", "--ifconfig", "10.8.0.1", "10.8.0.2", "--cipher", "none", "--auth", "none",
				"--management", filepath.Join(dir, "port.sock"), "unix", file,
			}, config.Env{SkipFiles: true})
			if err != nil {
				t.Fatal(err)
			}
			p := newProcess(nil, opts, Env{Stdout: io.Discard, NoSignals: true}.withDefaults())
			defer p.close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p.makePort(ctx)
			if _, err := p.ways.open(p.opts); err == nil || err.Error() != "Error reading password from Management authfile: "+file {
				t.Errorf("error %v", err)
			}
		})
	}
}

// While somebody is asked at the terminal for what an engine needs, the port answers: a script in the daemon would give up.
func TestPortAnswersBesideTheTerminal(t *testing.T) {
	p, conn := portProcess(t, "--client", "--dev", "tun", "--remote", "127.0.0.1", "--auth-user-pass", "--ca", "x")
	if _, err := io.WriteString(conn, "pid\nexit\n"); err != nil {
		t.Fatal(err)
	}
	asking, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if _, err := p.ask(asking, "Enter Auth Username:", true); err == nil {
		t.Error("nobody is at the terminal, and answered")
	}
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if all, err := io.ReadAll(conn); err != nil || !strings.Contains(string(all), "SUCCESS: pid=") {
		t.Errorf("%q, %v", all, err)
	}
}
