//go:build linux

package test

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what authenticators use
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/mgmt"
)

// In the background: pid file, log file, status file; all of it is there while the daemon runs, the pid file goes with it.
func TestDaemonInTheBackground(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stockServer(t)
	pidFile, logFile, status := l.file("pid"), l.file("log"), l.file("status")
	front := ours(t, l.client, l.clientArgs("--daemon", "moongate-test", "--log", logFile, "--writepid", pidFile, "--status", status, "1"))
	if code := front.Wait(t, 10*time.Second); code != 0 {
		t.Fatalf("the process in front ended with status %d\n%s", code, front.Log())
	}
	waitFor(t, "the tunnel", func() bool { return strings.Contains(read(logFile), up) })
	pid, err := strconv.Atoi(strings.TrimSpace(read(pidFile)))
	if err != nil {
		t.Fatalf("pid file: %v", err)
	}
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	waitFor(t, "the status file", func() bool { return strings.Contains(read(status), "END\n") })
	lines := strings.Split(read(status), "\n")
	if lines[0] != "OpenVPN STATISTICS" || !strings.HasPrefix(lines[2], "TUN/TAP read bytes,") {
		t.Errorf("status file:\n%s", read(status))
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the end", func() bool { _, err := os.Stat(pidFile); return os.IsNotExist(err) })
	if !strings.HasSuffix(strings.TrimSpace(read(logFile)), "SIGTERM[hard,] received, process exiting") {
		t.Errorf("log ends in\n%s", read(logFile))
	}
}

func read(path string) string {
	b, _ := os.ReadFile(path) // not there yet is empty
	return string(b)
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(upLimit); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come", what)
		}
	}
}

// A Lua script of the daemon answers the password prompt; one that fails is reported and does no harm.
func TestDaemonRunsScripts(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.passwordServer(t)
	good := l.write(t, "good.lua", []byte(`moongate.on("password.need", function(ev)
  ev:answer{ username = "user1", password = "good one" }
end)
`))
	bad := l.write(t, "bad.lua", []byte("local x\nx.y = 1\n"))
	c := ours(t, l.client, l.clientArgs("--auth-user-pass", "--management-query-passwords", "--script", good, "--script", bad))
	c.WaitLine(t, up, upLimit)
	c.WaitLine(t, bad+":2: attempt to index", upLimit)
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	terminate(t, c)
}

// The example that admits clients, inside our server: one of the list, one with a code of its authenticator, right and wrong,
// and one who is not in the list.
func TestServerRunsAdmitClientsExample(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	admit := l.write(t, "admit-clients.lua", []byte(read("../examples/lua/admit-clients.lua")))
	const secret = "JBSWY3DPEHPK3PXP"
	l.write(t, "clients.json", []byte(`{"client1": {"config": ["push \"route 10.20.0.0 255.255.0.0\""]}, "phone": {"totp": "`+secret+`"}}`))
	l.issue(t, "phone", pki.Spec{Name: "phone"})
	l.issue(t, "stranger", pki.Spec{Name: "stranger"})
	s := l.ourServer(t, "--management-client-auth", "--auth-user-pass-optional", "--script", admit, "allow", "read="+l.file("clients.json"))
	as := func(name string) []string {
		return []string{"--cert", l.file(name + ".crt"), "--key", l.file(name + ".key")}
	}

	c := l.stockClient(t)
	if routes := l.client.Run(t, "ip", "route"); !strings.Contains(routes, "10.20.0.0/16") {
		t.Errorf("the list's directive did not arrive:\n%s", routes)
	}
	terminate(t, c)

	c = stock(t, l.client, l.clientArgs(as("stranger")...))
	c.WaitLine(t, "AUTH: Received control message: AUTH_FAILED,not admitted", upLimit)
	c.Stop(t)
	c = stock(t, l.client, l.clientArgs(as("phone")...))
	c.WaitLine(t, "AUTH: Received control message: AUTH_FAILED,not admitted", upLimit)
	s.WaitLine(t, "its client cannot ask for a code", upLimit)
	c.Stop(t)

	for _, tt := range []struct{ code, outcome string }{
		{totp(t, secret), up}, {"000", "AUTH: Received control message: AUTH_FAILED,not admitted"},
	} {
		sock := l.file("phone.sock")
		c = stock(t, l.client, l.clientArgs(append(as("phone"), "--setenv", "IV_SSO", "crtext", "--management", sock, "unix", "--management-hold")...))
		m := manage(t, sock)
		asked := m.Subscribe(mgmt.KindInfoMsg)
		do(t, m, "hold", "release")
		if n, err := notified(t, asked); err != nil || n.Text != "CR_TEXT:R,E:Code of your authenticator" {
			t.Fatalf("asked %q %v", n.Text, err)
		}
		do(t, m, "cr-response", base64.StdEncoding.EncodeToString([]byte(tt.code)))
		c.WaitLine(t, tt.outcome, upLimit)
		c.Stop(t)
	}
}

// totp is the code of an authenticator at this moment (RFC 6238).
func totp(t *testing.T, secret string) string {
	t.Helper()
	key, err := base32.StdEncoding.DecodeString(secret)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, key)
	_ = binary.Write(mac, binary.BigEndian, time.Now().Unix()/30)
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fffffff%1000000)
}

// A key file that is not there is asked for; once it is, the client goes on.
func TestDaemonAsksForAMissingToken(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stockServer(t)
	key := read(l.file("client.key"))
	if err := os.Remove(l.file("client.key")); err != nil {
		t.Fatal(err)
	}
	sock := l.file("client.sock")
	c := ours(t, l.client, l.clientArgs("--management", sock, "unix", "--management-query-token", "--auth-retry", "interact"))
	m := manage(t, sock)
	prompts := m.Subscribe(mgmt.KindNeedOK)
	next := func() {
		t.Helper()
		n, err := notified(t, prompts)
		if err != nil || n.Text != "Need 'token-insertion-request' confirmation MSG:Please insert "+l.file("client.key")+" token" {
			t.Fatalf("prompt %q %v", n.Text, err)
		}
	}
	next()
	do(t, m, "needok", "token-insertion-request", "ok") // but it is not
	next()
	do(t, m, "needok", "token-insertion-request", "cancel")
	next()
	if diff := cmp.Diff([]string{"CONNECTING", "RECONNECTING,private-key-password-failure"}, states(t, m)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	l.write(t, "client.key", []byte(key))
	do(t, m, "needok", "token-insertion-request", "ok")
	c.WaitLine(t, up, upLimit)
	terminate(t, c)
}

// A port on the tunnel's own address is there while the tunnel is.
func TestDaemonListensInTheTunnel(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.stockServer(t)
	c := ours(t, l.client, l.clientArgs("--management", "tunnel", "7505"))
	c.WaitLine(t, "MANAGEMENT: TCP Socket listening on [AF_INET]10.8.0.2:7505", upLimit)
	waitFor(t, "the greeting", func() bool {
		greeting, _ := l.server.TryRun("bash", "-c", "exec 3<>/dev/tcp/10.8.0.2/7505 && timeout 1 head -n 1 <&3")
		return strings.Contains(greeting, ">INFO:OpenVPN Management Interface Version 5")
	})
	terminate(t, c)
}

// The daemon ends in every hold and leaves nothing behind; options that are wrong are told like stock tells them.
func TestDaemonEnds(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	sock := l.file("client.sock")
	c := ours(t, l.client, l.clientArgs("--management", sock, "unix", "--management-hold"))
	m := manage(t, sock)
	do(t, m, "signal", "SIGTERM")
	if code := c.Wait(t, 5*time.Second); code != 0 {
		t.Errorf("SIGTERM in the first hold: exit status %d", code)
	}
	if _, err := os.Stat(sock); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
	for _, args := range [][]string{{"--nonsense"}, l.clientArgs("--proto", "carrier-pigeon"), l.clientArgs("--ca", l.file("nothing.crt"))} {
		theirs, mine := stock(t, l.client, args), ours(t, l.client, args)
		if a, b := theirs.Wait(t, 5*time.Second), mine.Wait(t, 5*time.Second); a != b {
			t.Errorf("%v: exit status %d, stock %d", args, b, a)
		}
		if diff := cmp.Diff(errorLines(theirs.Log()), errorLines(mine.Log())); diff != "" {
			t.Errorf("%v (-stock +moongate):\n%s", args, diff)
		}
	}
}

// errorLines are the lines of a log without times and the kernel offload that only stock knows.
func errorLines(log string) []string {
	var out []string
	for line := range strings.SplitSeq(log, "\n") {
		if strings.Contains(line, "ovpn-dco") {
			continue
		}
		if len(line) > 20 && line[4] == '-' && line[13] == ':' {
			line = line[20:]
		}
		out = append(out, line)
	}
	return out
}

// Two of ours as peers, without a server mode: nothing is pushed, both negotiate as equals, also with a stock peer.
func TestPeersWithoutPull(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		server, client starter
	}{{"stock server", stock, ours}, {"stock client", ours, stock}, {"both ours", ours, ours}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			both := []string{"--dev", "tun", "--verb", "3", "--ca", l.file("ca.crt"), "--ping", "5", "--ping-restart", "30"}
			s := tt.server(t, l.server, append([]string{
				"--tls-server", "--dh", "none", "--cert", l.file("server.crt"), "--key", l.file("server.key"),
				"--ifconfig", "10.8.0.1", "10.8.0.2",
			}, both...))
			c := tt.client(t, l.client, append([]string{
				"--tls-client", "--remote", "10.99.0.1", "--cert", l.file("client.crt"), "--key", l.file("client.key"),
				"--ifconfig", "10.8.0.2", "10.8.0.1",
			}, both...))
			c.WaitLine(t, up, upLimit)
			s.WaitLine(t, up, upLimit)
			ping(t, l.client, "10.8.0.1", 5, 0, "0.1")
			terminate(t, c)
		})
	}
}
