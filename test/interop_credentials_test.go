//go:build linux

package test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// credentialLife is a stock server that admits clients as the test says, and a client whose questions the test answers
// with user name "u" and passwords p1, p2 and so on. It notes every question, and every login as the server got it.
type credentialLife struct {
	t       *testing.T
	l       *lab
	desk    *client.Client
	client  *daemontest.Process
	m       *client.Client
	answers int

	mu        sync.Mutex
	trace     []string
	logins    int
	connected int
	deny      bool
	cid       string
}

func (c *credentialLife) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trace = append(c.trace, fmt.Sprintf(format, args...))
}

// serve admits clients until the server ends.
func (c *credentialLife) serve(sub *client.Subscription) {
	for {
		n, err := sub.Next(c.t.Context())
		if err != nil {
			return
		}
		f := strings.Split(n.Text, ",")
		if f[0] != "CONNECT" && f[0] != "REAUTH" {
			continue
		}
		env := map[string]string{}
		for _, e := range n.Env {
			name, value, _ := strings.Cut(e, "=")
			env[name] = value
		}
		c.note("%s/%s", env["username"], env["password"])
		c.mu.Lock()
		deny := c.deny
		c.deny = false
		c.cid = f[1]
		c.logins++
		c.mu.Unlock()
		verdict := []string{"client-auth-nt", f[1], f[2]}
		if deny {
			verdict = []string{"client-deny", f[1], f[2], "no"}
		}
		_, _ = c.desk.Do(c.t.Context(), verdict...)
	}
}

// attach connects to the client's port and answers what it asks.
func (c *credentialLife) attach() {
	c.m = manage(c.t, c.l.file("client.sock"))
	m, sub := c.m, c.m.Subscribe(mgmt.KindPassword, mgmt.KindState)
	do(c.t, m, "state", "on")
	go func() {
		for {
			n, err := sub.Next(c.t.Context())
			if err != nil {
				return
			}
			if n.Kind == mgmt.KindState {
				if s, err := mgmt.ParseState(n.Text); err == nil && s.Name == mgmt.StateConnected {
					c.mu.Lock()
					c.connected++
					c.mu.Unlock()
				}
				continue
			}
			parts := strings.Split(n.Text, "'")
			if !strings.HasPrefix(n.Text, "Need ") || len(parts) < 3 {
				continue
			}
			c.note("ask %s", parts[1])
			c.answer(m, parts[1])
		}
	}()
}

func (c *credentialLife) answer(m *client.Client, secret string) {
	var words [][]string
	switch secret {
	case mgmt.SecretPrivateKey:
		words = [][]string{{"password", secret, "sesame"}}
	case mgmt.SecretHTTPProxy:
		words = [][]string{{"username", secret, "proxyuser"}, {"password", secret, "proxypass"}}
	default:
		c.answers++
		words = [][]string{{"username", secret, "u"}, {"password", secret, fmt.Sprintf("p%d", c.answers)}}
	}
	for _, w := range words {
		_, _ = m.Do(c.t.Context(), w...)
	}
}

// until waits for a count to pass what it was.
func (c *credentialLife) until(what string, count *int, was int) {
	c.t.Helper()
	for deadline := time.Now().Add(upLimit); ; time.Sleep(10 * time.Millisecond) {
		c.mu.Lock()
		n, trace := *count, strings.Join(c.trace, " ")
		c.mu.Unlock()
		if n > was {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("no %s after: %s\n%s", what, trace, c.client.Log())
		}
	}
}

func (c *credentialLife) step(name string) {
	c.t.Helper()
	c.mu.Lock()
	logins, connected, cid := c.logins, c.connected, c.cid
	c.mu.Unlock()
	c.note("|")
	switch name {
	case "connect":
		do(c.t, c.m, "hold", "off")
		do(c.t, c.m, "hold", "release")
	case "renew":
		c.until("renegotiation", &c.logins, logins)
		return
	case "USR1":
		c.client.Signal(c.t, syscall.SIGUSR1)
	case "HUP":
		c.client.Signal(c.t, syscall.SIGHUP)
	case "forget":
		do(c.t, c.m, "forget-passwords")
		return
	case "drop":
		before := c.client.Lines()
		c.m.Close()
		c.client.WaitLineAfter(c.t, before, "MANAGEMENT: Client disconnected", upLimit)
		c.attach()
		return
	case "deny":
		c.mu.Lock()
		c.deny = true
		c.mu.Unlock()
		return
	default: // a message of the server
		do(c.t, c.desk, "client-kill", cid, name)
	}
	c.until("CONNECTED", &c.connected, connected)
}

// Which event takes which credential away: the same for the stock client and for ours, and for the table of package
// credentials. These are the dialogues that tell most; make soak plays all.
func TestLifeOfCredentials(t *testing.T) {
	t.Parallel()
	livesOfCredentials(t, "password, server restarts", "token, nocache", "token's user, nobody asked", "passphrase, nocache", "proxy")
}

// livesOfCredentials plays the named dialogues, or all.
func livesOfCredentials(t *testing.T, names ...string) {
	t.Helper()
	ask := []string{"--auth-user-pass"}
	file := []string{"--auth-user-pass", "login.key"}
	nocache := []string{"--auth-nocache"}
	token := []string{"--push", "auth-token T"}
	tokenUser := []string{"--push", "auth-token T", "--push", "auth-token-user VQ=="} // U
	locked := []string{"--cert", "locked.crt", "--key", "locked.key"}
	proxy := []string{"--proto", "tcp-client", "--http-proxy", "10.99.0.1", httpLocked, "auto"}
	join := func(lists ...[]string) (all []string) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	for _, tt := range []struct {
		name           string
		client, server []string
		steps          string
		want           string
	}{
		{"password", ask, nil, "connect renew USR1 HUP forget USR1 drop USR1 deny USR1",
			"| ask Auth u/p1 | u/p1 | u/p1 | u/p1 | | ask Auth u/p2 | | ask Auth u/p3 | | u/p3 ask Auth u/p4"},
		{"password, nocache", join(ask, nocache), nil, "connect renew USR1 HUP forget USR1 deny USR1",
			"| ask Auth u/p1 | ask Auth u/p2 | ask Auth u/p3 | ask Auth u/p4 | | ask Auth u/p5 | | ask Auth u/p6 ask Auth u/p7"},
		{"password, server restarts", ask, nil, "connect RESTART RESTART,[P] USR1",
			"| ask Auth u/p1 | ask Auth u/p2 | u/p2 | u/p2"},
		{"password, nointeract", join(ask, []string{"--auth-retry", "nointeract"}), nil, "deny connect", "| | ask Auth u/p1 u/p1"},
		{"password of a file", file, nil, "connect renew USR1 forget USR1 drop USR1 deny USR1",
			"| f/g | f/g | f/g | | f/g | | f/g | | f/g f/g"},
		{"token", ask, token, "connect renew USR1 HUP deny USR1 USR1 forget renew",
			"| ask Auth u/p1 | u/T | u/T | u/T | | u/T u/p1 | u/T | | ask Auth u/p2"},
		{"token, nocache", join(ask, nocache), token, "connect renew renew USR1 HUP deny USR1 drop USR1",
			"| ask Auth u/p1 | u/T | u/T | u/T | u/T | | u/T ask Auth u/p2 | | ask Auth u/p3"},
		{"token, file, nocache", join(file, nocache), token, "connect renew renew deny USR1 forget USR1", "| f/g | f/T | f/T | | f/T f/g | | f/g"},
		{"token, server restarts", ask, token, "connect RESTART deny USR1", "| ask Auth u/p1 | u/T | | u/T ask Auth u/p2"},
		{"token's user", ask, tokenUser, "connect USR1 HUP RESTART deny USR1", "| ask Auth u/p1 | U/T | U/T | U/T | | U/T ask Auth u/p2"},
		{"token's user, nobody asked", nil, tokenUser, "connect USR1 renew HUP RESTART deny USR1 forget USR1",
			"| / | U/T | U/T | U/T | U/T | | U/T / | | /"},
		{"token for nobody", nil, token, "connect USR1 deny USR1", "| / | / | | / /"},
		{"passphrase", locked, nil, "connect USR1 HUP forget USR1 drop USR1",
			"| ask Private Key / | / | / | | ask Private Key / | | ask Private Key /"},
		{"passphrase, nocache", join(locked, nocache), nil, "connect USR1 HUP", "| ask Private Key / | ask Private Key / | ask Private Key /"},
		{"passphrase, persist-key, nocache", join(locked, nocache, []string{"--persist-key"}), nil, "connect USR1 HUP forget USR1",
			"| ask Private Key / | / | ask Private Key / | | /"},
		{"proxy", join(ask, proxy), []string{"--proto", "tcp-server"}, "connect USR1 HUP forget USR1 drop USR1",
			"| ask Auth ask HTTP Proxy u/p1 | u/p1 | u/p1 | | ask Auth u/p2 | | ask Auth u/p3"},
		{"proxy, nocache", join(file, proxy, nocache), []string{"--proto", "tcp-server"}, "connect USR1", "| ask HTTP Proxy f/g | ask HTTP Proxy f/g"},
	} {
		if len(names) > 0 && !slices.Contains(names, tt.name) {
			continue
		}
		for who, start := range programs {
			t.Run(tt.name+" "+who, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				l.lockedKey(t)
				l.write(t, "login.key", []byte("f\ng\n"))
				sock := l.file("server.sock")
				stock(t, l.server, l.serverArgs(join([]string{"--management", sock, "unix", "--management-client-auth", "--auth-user-pass-optional", "--reneg-sec", "0"}, tt.server)...))
				if strings.HasPrefix(tt.name, "proxy") {
					startProxies(t, l, httpLocked)
				}
				c := &credentialLife{t: t, l: l, desk: manage(t, sock)}
				go c.serve(c.desk.Subscribe(mgmt.KindClient))
				args := []string{"--management", l.file("client.sock"), "unix", "--management-query-passwords", "--management-hold", "--management-forget-disconnect"}
				if strings.Contains(tt.steps, "renew") {
					args = append(args, "--reneg-sec", "3", "--tran-window", "60")
				} else {
					args = append(args, "--reneg-sec", "0")
				}
				if !strings.Contains(tt.name, "nointeract") {
					args = append(args, "--auth-retry", "interact")
				}
				c.client = start(t, l.client, l.clientArgs(join(args, l.paths(tt.client))...))
				c.attach()
				steps := strings.Fields(tt.steps)
				for _, s := range steps {
					c.step(s)
				}
				c.mu.Lock()
				defer c.mu.Unlock()
				got := strings.Join(c.trace, " ")
				if !strings.Contains(tt.steps, "renew") && got != tt.want || !strings.HasPrefix(withoutRenewals(got), withoutRenewals(tt.want)) {
					t.Errorf("%s\n got %s\nwant %s", tt.steps, got, tt.want)
				}
			})
		}
	}
}

// withoutRenewals takes out the logins that only repeat the one before, for steps that last longer than a renegotiation.
func withoutRenewals(trace string) string {
	var out []string
	for step := range strings.SplitSeq(trace, "|") {
		f := strings.Fields(step)
		for i := len(f) - 1; i > 0; i-- {
			if f[i] == f[i-1] {
				f = append(f[:i], f[i+1:]...)
			}
		}
		out = append(out, strings.Join(f, " "))
	}
	return strings.Join(out, "|")
}
