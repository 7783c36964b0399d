package cli

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// exitCase is a command line that reaches a daemon, and what an observer's seat gets.
type exitCase struct {
	args    string
	observe int    // exit code in the role observe: 0 for commands that look, 4 for those that act
	in      string // standard input
}

// exitCases has every command that dials. A command that waits for its daemon (wait, run --reconnect, events --reconnect) has its
// own lines below.
var exitCases = []exitCase{
	{"status", 0, ""}, {"status --json", 0, ""}, {"status -o raw", 0, ""},
	{"clients", 0, ""}, {"clients --json", 0, ""},
	{"state", 0, ""}, {"state --all", 0, ""}, {"log", 0, ""}, {"echo", 0, ""},
	{"version", 0, ""}, {"pid", 0, ""}, {"load-stats", 0, ""}, {"bytecount", 0, ""},
	{"events -k STATE -n 1", 0, ""},
	{"wait --state CONNECTED --timeout 0", 0, ""},
	{"raw pid", 0, ""}, {"raw nonsense", 1, ""}, {"raw hold on", 4, ""}, {"raw client-auth 0 1", 4, "END\n"},
	{"exec pid state", 0, ""}, {"exec pid nonsense", 1, ""},
	{"attach -c pid", 0, ""}, {"attach -c verb -c mute", 0, ""}, {"attach", 4, "pid\nhold on\n"},
	{"hold", 0, ""}, {"hold on", 4, ""}, {"verb", 0, ""}, {"verb 3", 4, ""}, {"mute", 0, ""}, {"mute 3", 4, ""},
	{"auth-retry", 0, ""}, {"auth-retry none", 4, ""},
	{"signal SIGUSR1", 4, ""}, {"kill laptop", 4, ""}, {"needok x ok", 4, ""}, {"needstr x y", 4, ""},
	{"forget-passwords", 4, ""}, {"reload", 4, ""}, {"reload full", 4, ""}, {"scripts", 0, ""},
	{"password Auth", 4, "secret\n"}, {"username Auth joe", 4, ""},
	{"record FILE --duration 1s", 0, ""},
	{"run LUA", 0, ""},
}

// local are the commands that reach no daemon, or not by an address: tests of their own hold their exit codes.
var local = []string{"attach", "check", "completion", "connect", "daemon", "demo", "disconnect", "fleet", "genkey", "help", "history", "last", "lua-types", "man", "mux", "on", "replay", "sessions", "targets", "test", "top", "web"}

// situations are what a command may find at its address.
func situations(t *testing.T) []struct {
	name string
	addr string
	code func(exitCase) int
} {
	const secret = "moon"
	refused := daemontest.FreeAddress(t, 1)
	always := func(code int) func(exitCase) int { return func(exitCase) int { return code } }
	return []struct {
		name string
		addr string
		code func(exitCase) int
	}{
		{"nothing", refused, always(3)},
		{"no such socket", filepath.Join(t.TempDir(), "none.sock"), always(3)},
		{"silence", service(t, func(net.Conn) { time.Sleep(10 * time.Second) }), always(5)},
		{"another protocol", service(t, func(c net.Conn) { fmt.Fprint(c, "SSH-2.0-OpenSSH_9.2\r\n") }), always(3)},
		{"noise without lines", service(t, func(c net.Conn) { fmt.Fprint(c, strings.Repeat("x", 4096)) }), always(3)},
		{"closed at once", service(t, func(net.Conn) {}), always(3)},
		{"closed in the greeting", service(t, func(c net.Conn) { fmt.Fprint(c, ">INFO:Open") }), always(3)},
		{"reset", service(t, func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }), always(3)},
		{"password wanted", mgmttest.NewDaemon(t, server.Config{}).ListenTCP(server.Access{Passwords: []server.Password{{Text: secret}}}), always(4)},
		{"observer", observed(t), func(c exitCase) int { return c.observe }},
		{"dies at the first command", dying(t, func(net.Conn, string) {}), always(3)},
		{"dies within the reply", dying(t, func(c net.Conn, cmd string) { fmt.Fprint(c, "OpenVPN STATI") }), always(3)},
		{"dies within a list", dying(t, func(c net.Conn, cmd string) { fmt.Fprint(c, "1700000000,CONNECTED,SUCCESS,,,,,\r\n") }), always(3)},
	}
}

// service serves each connection with f and closes it.
func service(t *testing.T, f func(net.Conn)) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
	return ln.Addr().String()
}

// dying greets, answers the first command with f and closes; without a command it closes after a moment.
func dying(t *testing.T, f func(c net.Conn, cmd string)) string {
	return service(t, func(c net.Conn) {
		fmt.Fprint(c, ">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info\r\n")
		c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		line, _ := bufio.NewReader(c).ReadString('\n')
		f(c, line)
	})
}

// observed is a server with one client whose port only lets look.
func observed(t *testing.T) string {
	d := mgmttest.NewDaemon(t, server.Config{})
	for _, l := range []string{"mode server", "peer 0 1 laptop 192.0.2.7:40000", "state CONNECTED SUCCESS 10.8.0.1"} {
		if err := d.Do(l); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var ticker sync.WaitGroup
	ticker.Go(func() { // something to wait for
		for ctx.Err() == nil {
			_ = d.Do("state CONNECTED SUCCESS 10.8.0.1")
			time.Sleep(50 * time.Millisecond)
		}
	})
	t.Cleanup(func() { cancel(); ticker.Wait() })
	return d.ListenTCP(server.Access{Role: mgmt.RoleObserve})
}

// runCommand runs one command line in this process.
func runCommand(t *testing.T, addr, in string, args ...string) (code int, out, errs string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var o, e bytes.Buffer
	world := &env.Env{In: strings.NewReader(in), Out: &o, Err: &e, Getenv: func(string) string { return "" }}
	if addr != "" {
		args = append(args, "-a", addr)
	}
	code = Run(ctx, world, "test", args)
	return code, o.String(), e.String()
}

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	lua := filepath.Join(dir, "x.lua")
	if err := os.WriteFile(lua, []byte("moongate.on('state', function() moongate.stop(0) end)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, s := range situations(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range exitCases {
				t.Run(c.args, func(t *testing.T) {
					t.Parallel()
					args := strings.Fields(strings.NewReplacer("LUA", lua, "FILE", filepath.Join(dir, strings.ReplaceAll(s.name, " ", "-"))).Replace(c.args))
					if s.name == "silence" {
						args = append(args, "--reply-timeout", "500ms")
					}
					code, out, errs := runCommand(t, s.addr, c.in, args...)
					if want := s.code(c); code != want {
						t.Errorf("exit code %d, want %d\n%s%s", code, want, out, errs)
					}
					if code != 0 && errs == "" && !strings.Contains(out, "ERROR") {
						t.Error("a failure without a word")
					}
				})
			}
		})
	}
}

// Every command is in the table of exit codes or reaches no daemon.
func TestExitCodesAreComplete(t *testing.T) {
	var covered []string
	for _, c := range exitCases {
		covered = append(covered, strings.Fields(c.args)[0])
	}
	covered = append(covered, local...)
	root := NewRoot(&env.Env{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}, Getenv: os.Getenv}, "x")
	helpPages(root, 0, new(error))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() && !slices.Contains(covered, c.Name()) {
			t.Errorf("%s is in no row of exitCases and not local", c.Name())
		}
	}
}

// Wrong usage is 2 for every command, whatever is at the address: nothing is dialed.
func TestUsageErrors(t *testing.T) {
	addr := daemontest.FreeAddress(t, 1)
	for _, line := range []string{
		"nonsense", "staus", "nonsense --help", "help nonsense", "help status nonsense", "completion nonsense", "completion nonsense --help",
		"status --nonsense", "status extra", "status -o yaml", "status --reply-timeout 0s", "status --reply-timeout x",
		"log -n -1", "log -n x", "events -n x", "bytecount --interval 0",
		"hold maybe", "signal FOO", "signal", "verb 16", "verb -- -1", "verb x", "mute x", "mute -- -1", "auth-retry x", "needok x maybe", "needok", "needstr x",
		"kill", "kill a --by x", "exec", "wait --client a --state CONNECTED", "wait --gone", "targets add x", "targets add a/b :1", "targets add a x", "targets remove", "targets remove nobody", "clients --sort x", "clients --filter x=y", "clients --columns x", "clients --filter name>3", "clients --filter sent>x", "clients --watch=1ms", "state --reconnect", "status --rate -1s", "events -k NOPE",
		"genkey tls-crypt x --json", "man x --json", "demo --json", "record x --json", "run x --json", "replay x --json", "pid --password secret", "wait", "wait --state NONSENSE", "raw", "attach a b", "password", "password a b", "username", "reload x", "record", "replay",
		"replay x --speed 0", "genkey", "genkey nonsense", "check", "check -x c.conf", "check c.conf -x", "check c.conf -x --verb 3", "--no-ask daemon c.conf", "--json daemon --config c.conf", "--timeout 3s daemon --conifg x", "run", "man",
	} {
		if code, out, errs := runCommand(t, addr, "", strings.Fields(line)...); code != 2 || !strings.HasPrefix(errs, "moongate: ") || out != "" {
			t.Errorf("%s: exit code %d\n%s%s", line, code, out, errs)
		} else if strings.Contains(errs, "strconv.") {
			t.Errorf("%s: %s", line, errs)
		}
	}
	for _, bad := range []string{"x", "x:", ":0", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:http", "http://x", "tls://x", "unix:", "[::1]", "::1", "tls:///x"} {
		for _, cmd := range []string{"pid", "status", "wait --state CONNECTED --timeout 1s", "events", "record /nowhere/x.txt", "attach"} {
			if code, _, errs := runCommand(t, bad, "", strings.Fields(cmd)...); code != 2 {
				t.Errorf("%s -a %s: exit code %d\n%s", cmd, bad, code, errs)
			}
		}
	}
}

// A typo gets the nearest name.
func TestSuggestions(t *testing.T) {
	for line, want := range map[string]string{
		"staus": "did you mean status", "clinets": "did you mean clients", "status --jsno": "did you mean --json?", "wait --tiemout 3s": "did you mean --timeout?",
		"completion bsh": "did you mean bash", "help sttus": "did you mean status", "staus --help": "did you mean status",
	} {
		if code, _, errs := runCommand(t, "", "", strings.Fields(line)...); code != 2 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit code %d, %q lacks %q", line, code, errs, want)
		}
	}
}
