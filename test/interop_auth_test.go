//go:build linux

package test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// desk is a stock server whose clients are admitted by the test, through its management port.
type desk struct {
	t      *testing.T
	m      *client.Client
	events *client.Subscription
}

func (l *lab) desk(t *testing.T, extra ...string) *desk {
	t.Helper()
	sock := l.file("server.sock")
	stock(t, l.server, l.serverArgs(append([]string{"--management", sock, "unix", "--management-client-auth"}, extra...)...))
	m := manage(t, sock)
	return &desk{t, m, m.Subscribe(mgmt.KindClient)}
}

// login waits for the next client that asks to be let in and returns its ids and its environment.
func (d *desk) login() (cid, kid string, env map[string]string) {
	d.t.Helper()
	for {
		n, err := notified(d.t, d.events)
		if err != nil {
			d.t.Fatal(err)
		}
		f := strings.Split(n.Text, ",")
		if f[0] != "CONNECT" && f[0] != "REAUTH" {
			continue
		}
		env = map[string]string{}
		for _, e := range n.Env {
			name, value, _ := strings.Cut(e, "=")
			env[name] = value
		}
		return f[1], f[2], env
	}
}

// front is our client with its management port, which shows the first prompt.
type front struct {
	t      *testing.T
	m      *client.Client
	events *client.Subscription
	prompt string
}

func (l *lab) front(t *testing.T, extra ...string) *front {
	t.Helper()
	sock := l.file("client.sock")
	ours(t, l.client, l.clientArgs(append([]string{"--management", sock, "unix", "--management-query-passwords", "--auth-user-pass", "--auth-retry", "interact"}, extra...)...))
	m := manage(t, sock)
	f := &front{t: t, m: m, events: m.Subscribe(mgmt.KindPassword, mgmt.KindState, mgmt.KindInfoMsg, mgmt.KindNotify)}
	do(t, m, "state", "on")
	f.prompt = f.want(mgmt.KindPassword, "Need 'Auth' username/password")
	return f
}

// want reads notifications up to the one that begins with text, and returns it.
func (f *front) want(kind, text string) string {
	f.t.Helper()
	var seen []string
	deadline := time.After(20 * time.Second)
	for {
		select {
		case <-deadline:
			f.t.Fatalf("no >%s:%s among\n%s", kind, text, strings.Join(seen, "\n"))
		default:
		}
		n, err := notified(f.t, f.events)
		if err != nil {
			f.t.Fatalf("waiting for >%s:%s: %v, after\n%s", kind, text, err, strings.Join(seen, "\n"))
		}
		line := n.Text
		if n.Kind == mgmt.KindState {
			if s, err := mgmt.ParseState(n.Text); err == nil {
				line = stateText(s)
			}
		}
		seen = append(seen, n.Kind+":"+line)
		if n.Kind == kind && strings.HasPrefix(line, text) {
			return line
		}
	}
}

func (f *front) login(user, pass string) {
	f.t.Helper()
	do(f.t, f.m, "username", "Auth", user)
	do(f.t, f.m, "password", "Auth", pass)
}

// A dynamic challenge, a temporary refusal, then in.
func TestClientAnswersChallenges(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.desk(t)
	f := l.front(t)
	f.login("cr1", "basic")
	cid, kid, env := d.login()
	if env["password"] != "basic" {
		t.Errorf("the server got password %q", env["password"])
	}
	challenge := "CRV1:R,E:stateid:" + base64.StdEncoding.EncodeToString([]byte("cr1")) + ":Please enter token PIN"
	do(t, d.m, "client-deny", cid, kid, "challenge", challenge)
	f.want(mgmt.KindPassword, "Verification Failed: 'Auth' ['"+challenge+"']")
	f.want(mgmt.KindState, "RECONNECTING,auth-failure")
	f.want(mgmt.KindPassword, "Need 'Auth' username/password")
	f.login("cr1", "CRV1::stateid::8675309")
	cid, kid, env = d.login()
	if env["password"] != "CRV1::stateid::8675309" {
		t.Errorf("the server got password %q", env["password"])
	}
	do(t, d.m, "client-deny", cid, kid, "busy", "TEMP[backoff 2]: server busy")
	f.want(mgmt.KindPassword, "Verification Failed: 'Auth' ['TEMP[backoff 2]: server busy']")
	f.want(mgmt.KindState, "RECONNECTING,auth-temp-failure (server temporary reject)")
	before := time.Now()
	cid, kid, _ = d.login()
	if since := time.Since(before); since < 1500*time.Millisecond {
		t.Errorf("came back after %v, the server asked for 2 s", since)
	}
	do(t, d.m, "client-auth-nt", cid, kid)
	f.want(mgmt.KindState, "CONNECTED,SUCCESS")
}

// A second step after the password: AUTH_PENDING, a text challenge, its answer; then what a server may say to clients.
func TestClientWaitsForPendingAuthentication(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.desk(t)
	f := l.front(t, "--setenv", "IV_SSO", "webauth,crtext", "--static-challenge", "PIN, please", "1")
	if want := "Need 'Auth' username/password SC:1,PIN, please"; f.prompt != want {
		t.Errorf("prompt %q, want %q", f.prompt, want)
	}
	f.login("foo", "SCRV1:YmFy:MTIz")
	cid, kid, env := d.login()
	if env["IV_SSO"] != "webauth,crtext" || env["password"] != "SCRV1:YmFy:MTIz" {
		t.Errorf("the server got IV_SSO %q, password %q", env["IV_SSO"], env["password"])
	}
	do(t, d.m, "client-pending-auth", cid, kid, "CR_TEXT:R,E:What is the code?", "30")
	f.want(mgmt.KindState, "AUTH_PENDING,timeout 30")
	f.want(mgmt.KindInfoMsg, "CR_TEXT:R,E:What is the code?")
	f.want(mgmt.KindState, "GET_CONFIG")
	do(t, f.m, "cr-response", "MTIzNDU2")
	for {
		n, err := notified(t, d.events)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(n.Text, "CR_RESPONSE,") {
			if !strings.HasSuffix(n.Text, ",MTIzNDU2") {
				t.Errorf("response %q", n.Text)
			}
			break
		}
	}
	do(t, d.m, "client-auth-nt", cid, kid)
	f.want(mgmt.KindState, "CONNECTED,SUCCESS")

	do(t, d.m, "client-kill", cid, "INFO,hello")
	f.want(mgmt.KindInfoMsg, "hello")
	// The server closes the instance 5 s after any kill; we hear its RESTART first.
	do(t, d.m, "client-kill", cid, "RESTART,[P]later")
	f.want(mgmt.KindNotify, "info,server-pushed-connection-reset,[P]later")
	f.want(mgmt.KindState, "RECONNECTING,server-pushed-connection-reset")
	cid, kid, _ = d.login()
	do(t, d.m, "client-auth-nt", cid, kid)
	f.want(mgmt.KindState, "CONNECTED,SUCCESS")
	do(t, d.m, "client-kill", cid, "HALT,go away")
	f.want(mgmt.KindNotify, "info,server-pushed-halt,go away")
	f.want(mgmt.KindState, "EXITING,server-pushed-halt")
}

// A token replaces the password, also over a restart, and a server that no longer knows it gets the password again.
func TestClientUsesItsToken(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	d := l.desk(t, "--auth-gen-token", "3600", "3600", "external-auth")
	f := l.front(t)
	f.login("foo", "secret")
	cid, kid, env := d.login()
	if env["password"] != "secret" || env["session_state"] != "Initial" {
		t.Errorf("first login: password %q, state %q", env["password"], env["session_state"])
	}
	do(t, d.m, "client-auth-nt", cid, kid)
	f.want(mgmt.KindPassword, "Auth-Token:SESS_ID_AT_")
	f.want(mgmt.KindState, "CONNECTED,SUCCESS")
	do(t, f.m, "signal", "SIGUSR1")
	cid, kid, env = d.login()
	if !strings.HasPrefix(env["password"], "SESS_ID_AT_") || env["session_state"] != "Authenticated" {
		t.Errorf("second login: password %.11q, state %q", env["password"], env["session_state"])
	}
	do(t, d.m, "client-deny", cid, kid, "unknown token")
	f.want(mgmt.KindState, "RECONNECTING,auth-failure (auth-token)")
	cid, kid, env = d.login()
	if env["password"] != "secret" {
		t.Errorf("third login: password %q, want the real one", env["password"])
	}
	do(t, d.m, "client-auth-nt", cid, kid)
	f.want(mgmt.KindState, "CONNECTED,SUCCESS")
	log, err := f.m.Log(t.Context(), 250)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range log {
		if strings.Contains(e.Text, "SESS_ID_AT_") || strings.Contains(e.Text, "secret") {
			t.Errorf("in the log: %s", e.Text)
		}
	}
}

// Signals while somebody is asked.
func TestClientLeavesAPrompt(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	sock := l.file("client.sock")
	c := ours(t, l.client, l.clientArgs("--management", sock, "unix", "--management-query-remote"))
	m := manage(t, sock)
	remotes := m.Subscribe(mgmt.KindRemote)
	if n, err := notified(t, remotes); err != nil || n.Text != "10.99.0.1,1194,udp" {
		t.Fatalf("prompt %q %v", n.Text, err)
	}
	do(t, m, "signal", "SIGUSR1")
	if n, err := notified(t, remotes); err != nil || n.Text != "10.99.0.1,1194,udp" {
		t.Fatalf("prompt %q %v", n.Text, err)
	}
	want := []string{"CONNECTING", "RECONNECTING,close_context usr1 to hup"}
	if diff := cmp.Diff(want, states(t, m)); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	do(t, m, "signal", "SIGTERM")
	if code := c.Wait(t, 5*time.Second); code != 0 {
		t.Errorf("exit status %d", code)
	}
	expectInOrder(t, c.Log(), []string{"SIGHUP[hard,close_context usr1 to hup] received, process restarting", "SIGTERM[hard,init_instance] received, process exiting"})
}
