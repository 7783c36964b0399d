package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/daemon"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
)

// heldDaemon runs our daemon in this process, in its first hold, until the test ends.
func heldDaemon(t *testing.T, args ...string) *bytes.Buffer {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	log := &bytes.Buffer{}
	done := make(chan int)
	go func() {
		done <- daemon.Main(ctx, append([]string{"--client", "--remote", "127.0.0.1", "--dev", "null", "--management-hold"}, args...),
			daemon.Env{Stdin: strings.NewReader(""), Stdout: log, Stderr: log, NoSignals: true})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", log)
		}
	})
	return log
}

// command runs one command of ours in this process.
func command(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = cli.Run(t.Context(), &env.Env{In: strings.NewReader(""), Out: &o, Err: &e, Getenv: func(string) string { return "" }}, "test", args)
	return code, o.String(), e.String()
}

// Each listener has its own protection, and each password its role.
func TestListenersAreProtected(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	ca, err := pki.NewCA("management")
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.Issue(pki.Spec{Name: "127.0.0.1", Server: true, IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	client, err := ca.Issue(pki.Spec{Name: "console"})
	if err != nil {
		t.Fatal(err)
	}
	if err := pki.WriteFiles(dir, map[string][]byte{
		"ca.crt": ca.PEM, "server.crt": server.CertPEM, "server.key": server.KeyPEM, "client.crt": client.CertPEM, "client.key": client.KeyPEM,
		"pw-observe": []byte("look\n"), "pw-operate": []byte("steer\n"), "pw-admin": []byte("rule\n"), "pw-wrong": []byte("guess\n"),
	}); err != nil {
		t.Fatal(err)
	}
	one, mutual := strconv.Itoa(daemontest.FreePort(t, 1)), strconv.Itoa(daemontest.FreePort(t, 1))
	heldDaemon(t, "--ca", file("ca.crt"), "--cert", file("client.crt"), "--key", file("client.key"),
		"--management", file("look.sock"), "unix", "--management-role", "observe",
		"--management", file("many.sock"), "unix", file("pw-admin"), "--management-role", "observe", file("pw-observe"), "--management-role", "operate", file("pw-operate"),
		"--management", "127.0.0.1", one, "--management-tls", file("server.crt"), file("server.key"), "--management-role", "auth",
		"--management", "127.0.0.1", mutual, "--management-tls", file("server.crt"), file("server.key"), file("ca.crt"))
	deadline := time.Now().Add(10 * time.Second)
	for {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+mutual); err == nil { // the last to be opened
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the daemon does not listen")
		}
		time.Sleep(10 * time.Millisecond)
	}
	withCA := []string{"--ca", file("ca.crt")}
	shown := append(withCA, "--cert", file("client.crt"), "--key", file("client.key"))
	for _, tt := range []struct {
		name  string
		addr  string
		flags []string
		code  int // of a command that looks
		steer int // of one that operates
		tell  int // of one that answers prompts
	}{
		{"observe for everybody", file("look.sock"), nil, 0, 4, 4},
		{"password of observe", file("many.sock"), []string{"--password-file", file("pw-observe")}, 0, 4, 4},
		{"password of operate", file("many.sock"), []string{"--password-file", file("pw-operate")}, 0, 0, 4},
		{"password of admin", file("many.sock"), []string{"--password-file", file("pw-admin")}, 0, 0, 1},
		{"wrong password", file("many.sock"), []string{"--password-file", file("pw-wrong")}, 4, 4, 4},
		{"no password", file("many.sock"), nil, 4, 4, 4},
		{"TLS", "tls://127.0.0.1:" + one, withCA, 0, 4, 1},
		{"TLS of an unknown authority", "tls://127.0.0.1:" + one, nil, 3, 3, 3},
		{"TLS without our certificate", "tls://127.0.0.1:" + mutual, withCA, 4, 4, 4},
		{"mutual TLS", "tls://127.0.0.1:" + mutual, shown, 0, 0, 1},
		{"a key without its certificate", "tls://127.0.0.1:" + mutual, []string{"--key", file("client.key")}, 2, 2, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base := append([]string{"-a", tt.addr}, tt.flags...)
			for _, c := range []struct {
				want int
				args []string
			}{
				{tt.code, []string{"pid"}},
				{tt.steer, []string{"verb", "3"}},
				{tt.tell, []string{"raw", "needok x ok"}}, // 1: nobody asked
			} {
				if code, out, errs := command(t, append(base, c.args...)...); code != c.want {
					t.Errorf("%v: exit code %d, want %d\n%s%s", c.args, code, c.want, out, errs)
				}
			}
		})
	}
}

func TestProtectionIsChecked(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		args       []string
	}{
		{"a role before its listener", "--management-role belongs behind the --management it is about", []string{"--management-role", "admin", "--management", "x.sock", "unix"}},
		{"no such role", `--management-role: role "king": want observe, operate, auth or admin`, []string{"--management", "x.sock", "unix", "--management-role", "king"}},
		{"TLS on a socket", "--management-tls is for TCP listeners; x.sock is a unix domain socket", []string{"--management", "x.sock", "unix", "--management-tls", "/dev/null", "/dev/null"}},
		{"a file that is missing", "--management-role password file fails with '/nowhere'", []string{"--management", "x.sock", "unix", "--management-role", "admin", "/nowhere"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			code := daemon.Main(t.Context(), append([]string{
				"--client", "--remote", "127.0.0.1", "--dev", "null", "--ca", "/dev/null", "--cert", "/dev/null", "--key", "/dev/null",
			}, tt.args...), daemon.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: io.Discard, NoSignals: true})
			if code != 1 || !strings.Contains(out.String(), tt.want) {
				t.Errorf("exit status %d, output %q, want %q", code, out.String(), tt.want)
			}
		})
	}
}
