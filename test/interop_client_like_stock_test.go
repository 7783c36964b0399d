//go:build linux

package test

import (
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/mgmt"
)

// What goes wrong, and how our client and the stock one say so: the same lines, the same states, the same exit status.
func TestClientFailsLikeStock(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		server, client []string
		noServer       bool
		files          func(t *testing.T, l *lab)
		wait           string   // line that ends the comparison
		lines          []string // that both must have logged, in this order
		states         []string
		ends           int // exit status; -1: goes on until told
	}{
		{
			name: "wrong password", server: []string{"PASSWORD"}, client: []string{"--auth-user-pass", "login.key"}, wait: "process exiting",
			lines:  []string{"AUTH: Received control message: AUTH_FAILED", "SIGTERM[soft,auth-failure] received, process exiting"},
			states: []string{"CONNECTING", "WAIT", "AUTH", "EXITING,auth-failure"},
		},
		{
			name: "wrong passphrase", client: []string{"--key", "locked.key", "--askpass", "phrase.key"}, wait: "Exiting due to fatal error", ends: 1,
			lines:  []string{"Cannot load private key file", "Error: private key password verification failed", "Exiting due to fatal error"},
			states: []string{"CONNECTING"},
		},
		{
			name: "foreign server", server: []string{"--ca", "other.crt", "--cert", "foreign.crt", "--key", "foreign.key"}, files: foreignServer, wait: "Restart pause", ends: -1,
			lines: []string{
				"VERIFY ERROR: depth=1, error=self-signed certificate in certificate chain: CN=Other CA", "TLS_ERROR: BIO read tls_read_plaintext error",
				"TLS Error: TLS object -> incoming plaintext read error", "TLS Error: TLS handshake failed", "SIGUSR1[soft,tls-error] received, process restarting", "Restart pause, 1 second(s)",
			},
			states: []string{"CONNECTING", "WAIT", "AUTH", "RECONNECTING,tls-error"},
		},
		{
			name: "client certificate as server", server: []string{"--cert", "client.crt", "--key", "client.key"}, wait: "Restart pause", ends: -1,
			lines:  []string{"VERIFY ERROR: depth=0, error=unsuitable certificate purpose: CN=client1", "TLS Error: TLS handshake failed", "SIGUSR1[soft,tls-error] received, process restarting"},
			states: []string{"CONNECTING", "WAIT", "AUTH", "RECONNECTING,tls-error"},
		},
		{
			name: "other name", client: []string{"--verify-x509-name", "somebody", "name"}, wait: "Restart pause", ends: -1,
			lines:  []string{"VERIFY X509NAME ERROR: CN=server, must be somebody", "TLS Error: TLS handshake failed", "SIGUSR1[soft,tls-error] received, process restarting"},
			states: []string{"CONNECTING", "WAIT", "AUTH", "RECONNECTING,tls-error"},
		},
		{
			name: "expired certificate", client: []string{"--cert", "old.crt", "--key", "old.key", "--hand-window", "4"}, files: expiredClient, wait: "Restart pause", ends: -1,
			lines:  []string{"VERIFY OK: depth=0, CN=server", "TLS Error: TLS handshake failed", "SIGUSR1[soft,tls-error] received, process restarting"},
			states: []string{"CONNECTING", "WAIT", "AUTH", "RECONNECTING,tls-error"},
		},
		{
			name: "other tls-crypt key", server: []string{"--tls-crypt", "ta.key"}, client: []string{"--tls-crypt", "other-ta.key", "--hand-window", "3"}, wait: "Restart pause", ends: -1,
			lines:  []string{"TLS Error: TLS key negotiation failed to occur within 3 seconds (check your network connectivity)", "TLS Error: TLS handshake failed", "SIGUSR1[soft,tls-error] received"},
			states: []string{"CONNECTING", "WAIT", "RECONNECTING,tls-error"},
		},
		{
			name: "nobody there", noServer: true, client: []string{"--connect-timeout", "2"}, wait: "SIGUSR1", ends: -1,
			lines:  []string{"Server poll timeout, restarting", "SIGUSR1[soft,server_poll] received, process restarting"},
			states: []string{"CONNECTING", "WAIT", "RECONNECTING,server_poll"},
		},
		{
			name: "no such name", noServer: true, client: []string{"--remote", "nosuch.invalid", "1194", "--connect-retry-max", "2"}, wait: "Exiting due to fatal error", ends: 1,
			lines: slices.Repeat([]string{
				"RESOLVE: Cannot resolve host address: nosuch.invalid:1194 (Temporary failure in name resolution)",
				"RESOLVE: Cannot resolve host address: nosuch.invalid:1194 (Temporary failure in name resolution)",
				"Could not determine IPv4/IPv6 protocol", "SIGUSR1[soft,Could not determine IPv4/IPv6 protocol] received, process restarting", "Restart pause, 1 second(s)",
			}, 2),
			states: []string{"CONNECTING", "RESOLVE", "RESOLVE", "RECONNECTING,Could not determine IPv4/IPv6 protocol", "RESOLVE", "RESOLVE", "RECONNECTING,Could not determine IPv4/IPv6 protocol"},
		},
		{
			name: "no such name, once", noServer: true, client: []string{"--remote", "nosuch.invalid", "1194", "--resolv-retry", "0"}, wait: "Exiting due to fatal error", ends: 1,
			lines:  []string{"RESOLVE: Cannot resolve host address: nosuch.invalid:1194 (Temporary failure in name resolution) (I would have retried this name query if you had specified the --resolv-retry option.)"},
			states: []string{"CONNECTING", "RESOLVE"},
		},
		{
			name: "no such service", noServer: true, client: []string{"--remote", "10.99.0.1", "nosuch", "--connect-retry-max", "1"}, wait: "Exiting due to fatal error", ends: 1,
			lines:  []string{"RESOLVE: Cannot resolve host address: 10.99.0.1:nosuch (Servname not supported for ai_socktype)", "Could not determine IPv4/IPv6 protocol", "Restart pause, 1 second(s)", "All connections have been connect-retry-max (1) times unsuccessful, exiting"},
			states: []string{"CONNECTING", "RESOLVE", "RESOLVE", "RECONNECTING,Could not determine IPv4/IPv6 protocol"},
		},
		{
			name: "tcp refused", noServer: true, client: []string{"--proto", "tcp-client"}, wait: "Restart pause", ends: -1,
			lines: []string{
				"Attempting to establish TCP connection with [AF_INET]10.99.0.1:1194", "TCP: connect to [AF_INET]10.99.0.1:1194 failed: Connection refused",
				"SIGUSR1[connection failed(soft),connection-failed] received, process restarting", "Restart pause, 1 second(s)",
			},
			states: []string{"CONNECTING", "TCP_CONNECT", "RECONNECTING,connection-failed"},
		},
		{
			name: "no common cipher", server: []string{"--data-ciphers", "AES-128-GCM"}, client: []string{"--data-ciphers", "AES-256-GCM"}, wait: "process exiting",
			lines:  []string{"AUTH: Received control message: AUTH_FAILED,Data channel cipher negotiation failed (no shared cipher)", "SIGTERM[soft,auth-failure] received, process exiting"},
			states: []string{"CONNECTING", "WAIT", "AUTH", "EXITING,auth-failure"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.write(t, "login.key", []byte("user1\nbad one\n"))
			l.write(t, "phrase.key", []byte("not sesame\n"))
			l.write(t, "other-ta.key", pki.StaticKey())
			l.lockedKey(t)
			if tt.files != nil {
				tt.files(t, l)
			}
			switch {
			case tt.noServer:
			case slices.Contains(tt.server, "PASSWORD"):
				l.passwordServer(t)
			default:
				l.stockServer(t, l.paths(tt.server)...)
			}
			for who, start := range compared {
				t.Run(who, func(t *testing.T) {
					sock := l.file(who + ".sock")
					// A management client that reads everything: the state history outlives nothing, so it holds at start.
					c := start(t, l.client, l.clientArgs(append(l.paths(tt.client), "--management", sock, "unix", "--management-hold")...))
					m := manage(t, sock)
					sub := m.Subscribe(mgmt.KindState)
					do(t, m, "state", "on")
					do(t, m, "hold", "off")
					do(t, m, "hold", "release")
					c.WaitLine(t, tt.wait, 20*time.Second)
					expectInOrder(t, c.Log(), tt.lines)
					got := []string{"CONNECTING"}
					for len(got) < len(tt.states) {
						n, err := notified(t, sub)
						if err != nil {
							break
						}
						s, err := mgmt.ParseState(n.Text)
						if err != nil {
							t.Fatal(err)
						}
						got = append(got, stateText(s))
					}
					if diff := cmp.Diff(tt.states, got); diff != "" {
						t.Errorf("states (-want +got):\n%s", diff)
					}
					if tt.ends < 0 {
						terminate(t, c)
					} else if code := c.Wait(t, 10*time.Second); code != tt.ends {
						t.Errorf("exit status %d, want %d", code, tt.ends)
					}
				})
			}
		})
	}
}

func (l *lab) lockedKey(t *testing.T) {
	t.Helper()
	leaf := l.issue(t, "locked", pki.Spec{Name: "client1"})
	key, err := leaf.EncryptedKey("sesame")
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, "locked.key", key)
}

func foreignServer(t *testing.T, l *lab) {
	other, err := pki.NewCA("Other CA")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := other.Issue(pki.Spec{Name: "server", Server: true})
	if err != nil {
		t.Fatal(err)
	}
	l.write(t, "other.crt", other.PEM)
	l.write(t, "foreign.crt", append(slices.Clone(leaf.CertPEM), other.PEM...))
	l.write(t, "foreign.key", leaf.KeyPEM)
}

func expiredClient(t *testing.T, l *lab) {
	past := time.Now().Add(-48 * time.Hour)
	l.issue(t, "old", pki.Spec{Name: "client1", NotBefore: past, NotAfter: past.Add(time.Hour)})
}

// expectInOrder fails unless lines that contain the texts are there in this order.
func expectInOrder(t *testing.T, log string, texts []string) {
	t.Helper()
	rest := log
	for _, text := range texts {
		i := strings.Index(rest, text)
		if i < 0 {
			t.Errorf("no line %q (or not in order) in\n%s", text, log)
			return
		}
		rest = rest[i+len(text):]
	}
}

// Our client and the stock one at the same server pass the same states and log the same lines, from start to SIGUSR1, SIGHUP
// and SIGTERM. Whether they ask for the configuration goes by the moment: the server pushes it unasked when the clock's second turns.
func TestClientLivesLikeStock(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ccd := l.file("ccd")
	if err := syscall.Mkdir(ccd, 0o755); err != nil {
		t.Fatal(err)
	}
	l.write(t, "ccd/client1", []byte("ifconfig-push 10.8.0.9 255.255.255.0\n"))
	l.client.Run(t, "ip", "route", "add", "default", "via", "10.99.0.1")
	l.stockServer(t, "--client-config-dir", ccd, "--push", "route 172.16.0.0 255.240.0.0", "--push", "echo hello")
	logs, seen := map[string][]string{}, map[string][]string{}
	for who, start := range compared {
		sock := l.file(who + ".sock")
		c := start(t, l.client, l.clientArgs("--management", sock, "unix"))
		m := manage(t, sock)
		from := 0
		for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGHUP} {
			c.WaitLineAfter(t, from, up, upLimit)
			c.WaitLineAfter(t, from, "Protocol options", upLimit)
			from = c.Lines()
			c.Signal(t, sig)
		}
		c.WaitLineAfter(t, from, "Protocol options", upLimit)
		seen[who] = slices.DeleteFunc(states(t, m), func(s string) bool { return s == "GET_CONFIG" })
		terminate(t, c)
		logs[who] = comparable(c.Log())
	}
	if diff := cmp.Diff(seen["stock"], seen["ours"]); diff != "" {
		t.Errorf("states (-stock +moongate):\n%s", diff)
	}
	if diff := cmp.Diff(logs["stock"], logs["ours"]); diff != "" {
		t.Errorf("log (-stock +moongate):\n%s", diff)
	}
}

// comparable is a log without what may differ: times, session ids, peer ids, buffer sizes, versions, the question for the configuration, and what only stock or
// only we say.
func comparable(log string) []string {
	var out []string
	for line := range strings.SplitSeq(log, "\n") {
		if len(line) < 20 || line[4] != '-' {
			continue
		}
		line = line[20:]
		switch {
		case strings.Contains(line, "DCO"), strings.Contains(line, "ovpn-dco"), strings.HasPrefix(line, "OpenVPN "), strings.HasPrefix(line, "library versions"),
			strings.HasPrefix(line, "event_wait"), strings.HasPrefix(line, "MANAGEMENT:"), strings.HasPrefix(line, "Note: --cipher"),
			strings.HasSuffix(line, "'PUSH_REQUEST' (status=1)"):
			continue
		}
		for _, cut := range []string{", sid=", ", cipher TLS", "peer-id", "->"} {
			line, _, _ = strings.Cut(line, cut)
		}
		out = append(out, line)
	}
	return out
}

// While a client says goodbye, it takes no signal but another one to end; and what a password file holds besides text is
// left out.
func TestGoodbyeLikeStock(t *testing.T) {
	t.Parallel()
	for who, start := range compared {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			desk := &credentialLife{t: t, l: l}
			sock := l.file("server.sock")
			stock(t, l.server, l.serverArgs("--management", sock, "unix", "--management-client-auth"))
			desk.desk = manage(t, sock)
			go desk.serve(desk.desk.Subscribe(mgmt.KindClient))
			login := l.write(t, "login.key", []byte("us\x01er\tone\r\npa\x02\x7fss\n"))
			args := l.clientArgs("--auth-user-pass", login, "--explicit-exit-notify", "3")
			c := start(t, l.client, args)
			c.WaitLine(t, up, upLimit)
			c.Signal(t, syscall.SIGTERM)
			c.WaitLine(t, "sending exit notification", upLimit)
			time.Sleep(200 * time.Millisecond) // stock forgets its end when a signal comes while it writes that line
			for sig, name := range map[syscall.Signal]string{syscall.SIGUSR1: "SIGUSR1", syscall.SIGHUP: "SIGHUP"} {
				for range 5 { // the first may meet the signal before
					if c.Signal(t, sig); strings.Contains(c.Log(), "Ignoring "+name) {
						break
					}
					time.Sleep(100 * time.Millisecond)
				}
			}
			if code := c.Wait(t, upLimit); code != 0 {
				t.Errorf("exit status %d", code)
			}
			for _, name := range []string{"SIGUSR1", "SIGHUP"} {
				expectInOrder(t, c.Log(), []string{
					"SIGTERM received, sending exit notification to peer", "Ignoring " + name + " received during exit notification",
					"SIGTERM[soft,exit-with-notification] received, process exiting",
				})
			}
			c = start(t, l.client, args)
			c.WaitLine(t, up, upLimit)
			c.Signal(t, syscall.SIGTERM)
			c.WaitLine(t, "sending exit notification", upLimit)
			time.Sleep(200 * time.Millisecond) // as above
			c.Signal(t, syscall.SIGTERM)
			c.WaitLine(t, "SIGTERM[hard,] received, process exiting", upLimit)
			desk.mu.Lock()
			defer desk.mu.Unlock()
			for _, login := range desk.trace {
				if login != "userone/pass" {
					t.Errorf("logged in as %q", login)
				}
			}
		})
	}
}

// A seat that skips every profile is asked twice about each, and then the process ends.
func TestSkippingEveryProfileLikeStock(t *testing.T) {
	t.Parallel()
	for who, start := range compared {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			sock := l.file("client.sock")
			c := start(t, l.client, l.clientArgs("--remote", "10.99.0.1", "1", "--remote", "10.99.0.1", "2", "--management", sock, "unix", "--management-query-remote", "--management-hold"))
			m := manage(t, sock)
			sub := m.Subscribe(mgmt.KindRemote)
			do(t, m, "hold", "release")
			asked := 0
			for asked < 10 {
				if _, err := sub.Next(t.Context()); err != nil {
					break // the end of the process
				}
				asked++
				_, _ = m.Do(t.Context(), "remote", "SKIP")
			}
			if code := c.Wait(t, upLimit); code != 1 || asked != 4 || !strings.Contains(c.Log(), "No usable connection profiles are present") {
				t.Errorf("exit status %d after %d questions\n%s", code, asked, c.Log())
			}
		})
	}
}

// What push-peer-info tells of a host is what stock tells: the way out has an address of its own, or there is none; and what the
// user sets comes last.
func TestPeerInfoLikeStock(t *testing.T) {
	own := regexp.MustCompile(`peer info: (IV_(?:HWADDR|PLAT|PLAT_VER|GUI_VER|SSO)=.*|UV_.*)`)
	for name, tt := range map[string]struct {
		route bool
		args  []string
	}{
		"default route":    {route: true},
		"no default route": {},
		"set by the user": {true, []string{
			"--setenv", "IV_PLAT_VER", "14", "--setenv", "IV_GUI_VER", "gui 1", "--setenv", "UV_ID", "1", "--setenv", "IV_HWADDR", "none", "--setenv", "IV_SSO", "webauth",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			if tt.route {
				l.client.Run(t, "ip", "route", "add", "default", "via", "10.99.0.1")
			}
			told := make(map[string][]string)
			for _, who := range []string{"stock", "ours"} {
				s := l.stockServer(t)
				c := compared[who](t, l.client, l.clientArgs(append(tt.args, "--push-peer-info")...))
				c.WaitLine(t, up, upLimit)
				s.WaitLine(t, "'PUSH_REPLY", upLimit) // comes after them
				for _, m := range own.FindAllStringSubmatch(s.Log(), -1) {
					told[who] = append(told[who], m[1])
				}
				terminate(t, c)
				s.Stop(t)
			}
			if diff := cmp.Diff(told["stock"], told["ours"]); diff != "" {
				t.Errorf("(-stock +ours):\n%s", diff)
			}
		})
	}
}
