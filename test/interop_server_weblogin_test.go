//go:build linux

package test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
)

// webLogin is how an identity provider's helper works on a server's port: a client without name or password logs in once in
// a browser, gets the provider's name with auth-token-user, and shows its token from then on.
//
// It plays that helper for a while and returns the number of logins and of renewals by token.
func webLogin(t *testing.T, server, client starter, reneg string, d time.Duration) (logins, renewals int) {
	l := newLab(t)
	sock := l.file("mgmt.sock")
	s := server(t, l.server, l.serverArgs(
		"--management", sock, "unix", "--management-client-auth", "--auth-user-pass-optional", "--username-as-common-name",
		"--auth-gen-token", "28800", "28800", "external-auth", "--hand-window", "5", "--reneg-sec", "60"))
	s.WaitLine(t, up, upLimit)
	m := manage(t, sock)
	desk := &desk{t, m, m.Subscribe(mgmt.KindClient)}
	c := client(t, l.client, l.clientArgs("--reneg-sec", reneg, "--setenv", "IV_SSO", "webauth"))
	user := base64.StdEncoding.EncodeToString([]byte("jane@example.org"))
	events := make(chan map[string]string)
	go func() {
		defer close(events)
		for {
			n, err := desk.events.Next(t.Context())
			if err != nil {
				return
			}
			f := strings.Split(n.Text, ",")
			if f[0] != "CONNECT" && f[0] != "REAUTH" {
				continue
			}
			env := map[string]string{"event": f[0], "cid": f[1], "kid": f[2]}
			for _, e := range n.Env {
				name, value, _ := strings.Cut(e, "=")
				env[name] = value
			}
			select {
			case events <- env:
			case <-t.Context().Done():
				return
			}
		}
	}()
	for end := time.After(d); ; {
		select {
		case <-end:
			if strings.Contains(c.Log(), "AUTH_FAILED") || strings.Count(c.Log(), up) != 1 {
				t.Errorf("the client did not stay connected")
			}
			terminate(t, c)
			terminate(t, s)
			return logins, renewals
		case env, ok := <-events:
			if !ok {
				t.Fatal("the management port is gone")
			}
			t.Logf("%s state=%q username=%q", env["event"], env["session_state"], env["username"])
			switch env["session_state"] {
			case "AuthenticatedEmptyUser", "Authenticated":
				renewals++
				if env["username"] != "" {
					t.Errorf("%s with user name %q, the token was made for none", env["event"], env["username"])
				}
				do(t, m, "client-auth-nt", env["cid"], env["kid"])
			default:
				logins++
				if _, err := m.Block(t.Context(), "client-auth "+env["cid"]+" "+env["kid"], []string{`push "auth-token-user ` + user + `"`}); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// A client that logged in once in a browser shows its token at every renewal, and is not sent there again.
func TestWebLoginIsAskedOnce(t *testing.T) {
	t.Parallel()
	for server, start := range programs {
		for client, dial := range programs {
			t.Run(client+" client, "+server+" server", func(t *testing.T) {
				t.Parallel()
				logins, renewals := webLogin(t, start, dial, "3", 10*time.Second)
				if logins != 1 || renewals < 2 {
					t.Errorf("%d logins and %d renewals by token, want 1 and at least 2", logins, renewals)
				}
			})
		}
	}
}
