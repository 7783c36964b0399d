//go:build linux && pkcs11

package test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/script"
)

const (
	softHSM  = "/usr/lib/softhsm/libsofthsm2.so"
	tokenPIN = "1234"
)

// card is a SoftHSM token "card one" that holds an EC key (0A) and an RSA key (0B) with certificates of the lab.
type card struct {
	*lab
	conf string // of SoftHSM
	id   string // serialised, without the object: ".../card\x20one/"
}

func newCard(t *testing.T) *card {
	t.Helper()
	c := &card{lab: newLab(t)}
	if err := os.MkdirAll(c.file("tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	c.conf = c.write(t, "softhsm2.conf", []byte("directories.tokendir = "+c.file("tokens")+"\nobjectstore.backend = file\nlog.level = ERROR\n"))
	c.tool(t, "softhsm2-util", "--init-token", "--free", "--label", "card one", "--pin", tokenPIN, "--so-pin", "5678")
	for id, kind := range map[string]pki.KeyKind{"0a": pki.ECDSA, "0b": pki.RSA} {
		leaf := c.issue(t, "card"+id, pki.Spec{Name: "card " + id, Key: kind})
		c.write(t, "card.der", leaf.Cert.Raw)
		c.tool(t, "softhsm2-util", "--import", c.file("card"+id+".key"), "--token", "card one", "--label", "key "+id, "--id", id, "--pin", tokenPIN)
		c.tool(t, "pkcs11-tool", "--module", softHSM, "--login", "--pin", tokenPIN, "--token-label", "card one",
			"--write-object", c.file("card.der"), "--type", "cert", "--id", id, "--label", "cert "+id)
	}
	shown := c.tool(t, daemontest.RequireOpenVPN(t), "--show-pkcs11-ids", softHSM)
	m := regexp.MustCompile(`Serialized id: +(\S+/)0A`).FindStringSubmatch(shown)
	if m == nil {
		t.Fatalf("no id in\n%s", shown)
	}
	c.id = m[1]
	return c
}

// tool runs a program that finds the token and returns its output.
func (c *card) tool(t *testing.T, args ...string) string {
	t.Helper()
	return c.client.Run(t, append([]string{"env", "SOFTHSM2_CONF=" + c.conf}, args...)...)
}

// start is held, and lets the client go.
func (c *card) start(t *testing.T, ours bool, extra ...string) (*daemontest.Process, *client.Client, *client.Subscription) {
	t.Helper()
	p, m := c.held(t, ours, extra...)
	sub := m.Subscribe(mgmt.KindState, mgmt.KindPassword, mgmt.KindNeedStr, mgmt.KindNeedOK)
	do(t, m, "state", "on")
	do(t, m, "hold", "off")
	do(t, m, "hold", "release")
	return p, m, sub
}

// held starts a client of either make, on hold, and attaches to it.
func (c *card) held(t *testing.T, ours bool, extra ...string) (*daemontest.Process, *client.Client) {
	t.Helper()
	sock, program := c.file("stock.sock"), []string{daemontest.RequireOpenVPN(t)}
	if ours {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		sock, program = c.file("ours.sock"), []string{asDaemon + "=1", exe}
	}
	args := append([]string{"SOFTHSM2_CONF=" + c.conf}, program...)
	args = append(args, "--client", "--dev", "tun", "--verb", "3", "--remote-cert-tls", "server", "--ca", c.file("ca.crt"), "--nobind",
		"--remote", "10.99.0.1", "1194", "--management", sock, "unix", "--management-hold", "--management-query-passwords",
		"--pkcs11-providers", softHSM)
	p := c.client.Start(t, "env", append(args, extra...)...)
	return p, manage(t, sock)
}

// script answers notifications until one is the last, and returns all of them.
func (c *card) script(t *testing.T, sub *client.Subscription, last string, answer func(n client.Notification)) []string {
	t.Helper()
	end := regexp.MustCompile(last)
	var seen []string
	for {
		n, err := notified(t, sub)
		if err != nil {
			t.Fatalf("%v, after %q", err, seen)
		}
		line := n.Kind + ":" + n.Text
		if n.Kind == mgmt.KindState {
			_, state, _ := strings.Cut(n.Text, ",")
			line = n.Kind + ":" + state
			if strings.HasPrefix(state, mgmt.StateGetConfig+",") {
				continue
			}
		}
		seen = append(seen, line)
		if end.MatchString(line) {
			return seen
		}
		if n.Kind != mgmt.KindState {
			answer(n)
		}
	}
}

// Keys of both kinds, named or asked for, a wrong PIN first, and a restart that needs no PIN: as with the stock client.
func TestPKCS11LikeStock(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, object string
		asked        bool
		tls          string
	}{
		{name: "ecdsa", object: "0A"},
		{name: "rsa", object: "0B"},
		{name: "rsa, tls 1.2", object: "0B", tls: "1.2"},
		{name: "asked for", object: "0A", asked: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newCard(t)
			var limit []string
			if tt.tls != "" {
				limit = []string{"--tls-version-max", tt.tls}
			}
			c.stockServer(t, limit...)
			args := []string{"--pkcs11-id", c.id + tt.object}
			if tt.asked {
				args = []string{"--pkcs11-id-management"}
			}
			run := func(ours bool) []string {
				p, m, sub := c.start(t, ours, args...)
				pins := []string{"9999", tokenPIN}
				var entries []string
				answer := func(n client.Notification) {
					if n.Kind == mgmt.KindNeedStr {
						entries = c.entries(t, m)
						do(t, m, "needstr", "pkcs11-id-request", c.id+tt.object)
						return
					}
					if len(pins) == 0 {
						t.Fatalf("one more prompt: %s", n.Text)
					}
					do(t, m, "password", "card one token", pins[0])
					pins = pins[1:]
				}
				seen := c.script(t, sub, "^STATE:CONNECTED,SUCCESS,", answer)
				ping(t, c.client, "10.8.0.1", 3, 1, "0.1")
				do(t, m, "signal", "SIGUSR1")
				seen = append(seen, c.script(t, sub, "^STATE:CONNECTED,SUCCESS,", answer)...)
				ping(t, c.client, "10.8.0.1", 3, 1, "0.1")
				terminate(t, p)
				for _, line := range strings.Split(p.Log(), "\n") {
					if _, text, ok := strings.Cut(line, "PKCS#11: "); ok {
						seen = append(seen, text)
					}
				}
				return append(seen, entries...)
			}
			if diff := cmp.Diff(run(false), run(true)); diff != "" {
				t.Errorf("(-stock +ours):\n%s", diff)
			}
		})
	}
}

// entries is what pkcs11-id-count and pkcs11-id-get tell, in the order of ids: the module's order is not one.
func (c *card) entries(t *testing.T, m *client.Client) []string {
	t.Helper()
	var out []string
	for _, cmd := range []string{"pkcs11-id-count", "pkcs11-id-get 0", "pkcs11-id-get 1", "pkcs11-id-get 2"} {
		r, err := m.Cmd(t.Context(), cmd)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(r.Raw, "\n")
		if _, entry, ok := strings.Cut(text, "', ID:"); ok {
			text = entry
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

// A token that is not there is asked for until somebody declines; put back, it is found. The PIN is forgotten after the
// time of pkcs11-pin-cache.
func TestPKCS11TokenComesAndGoes(t *testing.T) {
	t.Parallel()
	c := newCard(t)
	c.stockServer(t)
	dirs, err := os.ReadDir(c.file("tokens"))
	if err != nil || len(dirs) != 1 {
		t.Fatal(dirs, err)
	}
	in, out := c.file("tokens/"+dirs[0].Name()), c.file("pulled")
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	move(in, out)
	p, m, sub := c.start(t, true, "--pkcs11-id", c.id+"0A", "--auth-retry", "interact", "--pkcs11-pin-cache", "1")
	const insert = "Need 'token-insertion-request' confirmation MSG:Please insert card one token"
	answers := []string{"ok", "cancel"}
	seen := c.script(t, sub, "^STATE:RECONNECTING", func(n client.Notification) {
		if n.Text != insert || len(answers) == 0 {
			t.Fatalf("%s, want %s", n.Text, insert)
		}
		do(t, m, "needok", "token-insertion-request", answers[0])
		answers = answers[1:]
	})
	if last := seen[len(seen)-1]; last != "STATE:RECONNECTING,private-key-password-failure,,,,," || len(answers) != 0 {
		t.Errorf("after declining: %q with answers %q left", last, answers)
	}
	asked, missed := 0, 0
	answer := func(n client.Notification) {
		switch n.Text {
		case insert:
			if missed++; missed > 1 {
				t.Fatal("asked for a token that is there")
			}
			move(out, in)
			do(t, m, "needok", "token-insertion-request", "ok")
		case "Need 'card one token' password":
			asked++
			do(t, m, "password", "card one token", tokenPIN)
		default:
			t.Fatalf("unexpected %s", n.Text)
		}
	}
	c.script(t, sub, "^STATE:CONNECTED,SUCCESS,", answer)
	ping(t, c.client, "10.8.0.1", 3, 1, "0.1")
	time.Sleep(1100 * time.Millisecond)
	do(t, m, "signal", "SIGUSR1")
	c.script(t, sub, "^STATE:CONNECTED,SUCCESS,", answer)
	if asked != 2 {
		t.Errorf("asked %d times for the PIN, want 2: it is kept for a second", asked)
	}
	terminate(t, p)
}

// Three wrong PINs are enough for one handshake; the daemon goes on and asks again with the next.
func TestPKCS11WrongPIN(t *testing.T) {
	t.Parallel()
	c := newCard(t)
	c.stockServer(t)
	p, m, sub := c.start(t, true, "--pkcs11-id", c.id+"0B", "--hand-window", "6")
	tries := 0
	c.script(t, sub, "^STATE:RECONNECTING,tls-error,", func(client.Notification) {
		tries++
		do(t, m, "password", "card one token", "9999")
	})
	if tries != 3 {
		t.Errorf("%d tries, want 3", tries)
	}
	c.script(t, sub, "^STATE:CONNECTED,SUCCESS,", func(client.Notification) { do(t, m, "password", "card one token", tokenPIN) })
	terminate(t, p)
}

// The list of certificates, as the stock daemon prints it.
func TestPKCS11ShowIDs(t *testing.T) {
	t.Parallel()
	c := newCard(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	blocks := func(text string) []string {
		head, rest, _ := strings.Cut(text, "\n\nCertificate\n")
		_, head, _ = strings.Cut(head, "\n") // the line with the time
		list := strings.Split(strings.TrimRight(rest, "\n"), "\n\nCertificate\n")
		slices.Sort(list)
		return append([]string{head}, list...)
	}
	want := blocks(c.tool(t, daemontest.RequireOpenVPN(t), "--show-pkcs11-ids", softHSM))
	got := blocks(c.tool(t, asDaemon+"=1", exe, "--show-pkcs11-ids", softHSM))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-stock +ours):\n%s", diff)
	}
	b, _ := pem.Decode(readFile(t, c.file("card0a.crt")))
	cert, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || !strings.Contains(got[1]+got[2], "CN="+cert.Subject.CommonName) {
		t.Errorf("%q, want both certificates", got)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The examples for questions, attached to stock and to ours: needstr.lua names the certificate on the card, needok.lua confirms that a missing card
// will be inserted, or declines it.
func TestPKCS11Examples(t *testing.T) {
	t.Parallel()
	for name, ours := range map[string]bool{"stock": false, "ours": true} {
		t.Run("needstr/"+name, func(t *testing.T) {
			t.Parallel()
			c := newCard(t)
			c.stockServer(t)
			p, m := c.held(t, ours, "--pkcs11-id-management")
			sub := m.Subscribe(mgmt.KindPassword)
			c.attached(t, m, "needstr.lua", script.Options{Args: []string{"pkcs11-id-request=" + c.id + "0A"}})
			do(t, m, "hold", "release")
			n, err := notified(t, sub)
			if err != nil || !strings.Contains(n.Text, "Need 'card one token' password") {
				t.Fatalf("%q, %v", n.Text, err)
			}
			do(t, m, "password", "card one token", tokenPIN)
			p.WaitLine(t, up, upLimit)
			p.Stop(t)
		})
		for typ, want := range map[string]string{"token-insertion-request": "needok token-insertion-request ok", "other": "needok token-insertion-request cancel"} {
			t.Run("needok/"+name+"/"+typ, func(t *testing.T) {
				t.Parallel()
				c := newCard(t)
				p, m := c.held(t, ours, "--pkcs11-id", strings.Replace(c.id, "card", "lost", 1)+"0A", "--verb", "4")
				c.attached(t, m, "needok.lua", script.Options{Args: []string{typ}})
				do(t, m, "hold", "release")
				p.WaitLine(t, "MANAGEMENT: CMD '"+want+"'", upLimit)
				p.Stop(t)
			})
		}
	}
}
