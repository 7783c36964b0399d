//go:build linux

package test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/mgmt"
)

// script writes an executable shell script.
func (l *lab) script(t *testing.T, name, body string) string {
	t.Helper()
	path := l.write(t, name, []byte("#!/bin/sh\nPATH=/usr/bin:/bin\n"+body+"\n"))
	if err := os.Chmod(path, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// login writes a file for auth-user-pass.
func (l *lab) login(t *testing.T, user, pass string) string {
	t.Helper()
	return l.write(t, "login", []byte(user+"\n"+pass+"\n"))
}

// Every way a script decides about a login.
func TestServerVerifiesPasswords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script, method string
		options              []string
		pass                 string
		refused              string // what the client reads, "" when it is let in
		line                 string // in the server's log
	}{
		{name: "file", method: "via-file", script: `{ read u; read p; } <"$1"; test "$u/$p" = "user1/good one"`, pass: "good one", line: "TLS: Username/Password authentication succeeded for username 'user1' "},
		{name: "file refused", method: "via-file", script: `{ read u; read p; } <"$1"; test "$u/$p" = "user1/good one"`, pass: "bad", refused: "AUTH_FAILED"},
		{name: "environment", method: "via-env", options: []string{"--script-security", "3"}, script: `test "$username/$password/$common_name" = "user1/good/client1"`, pass: "good"},
		{name: "environment without passwords", method: "via-env", script: `test "${password-none}" = none`, pass: "good"},
		{name: "reason", method: "via-file", script: `echo "closed on Sundays" >"$auth_failed_reason_file"; exit 1`, pass: "x", refused: "AUTH_FAILED,closed on Sundays"},
		{name: "deferred", method: "via-file", script: `(sleep 0.5; echo 1 >"$auth_control_file") >/dev/null 2>&1 & exit 2`, pass: "x", line: "authentication deferred for username 'user1'"},
		{name: "deferred refusal", method: "via-file", script: `(sleep 0.5; echo "no luck" >"$auth_failed_reason_file"; echo 0 >"$auth_control_file") >/dev/null 2>&1 & exit 2`, pass: "x", refused: "AUTH_FAILED,no luck"},
		{
			name: "pending step the client cannot do", method: "via-file", script: `printf '20\ncrtext\nCR_TEXT:R,E:TOTP\n' >"$auth_pending_file"; exit 2`, pass: "x",
			refused: "AUTH_FAILED,Authentication failed, required pending auth method 'crtext' not supported",
		},
		{name: "user name as common name", method: "via-file", options: []string{"--username-as-common-name"}, script: "exit 0", pass: "x", line: "user1/10.99.0.2"},
		{name: "no certificate", method: "via-file", options: []string{"--username-as-common-name", "--verify-client-cert", "none"}, script: "exit 0", pass: "x", line: "user1/10.99.0.2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			cmd := l.script(t, "verify.sh", tt.script)
			tmp := t.TempDir()
			s := l.ourServer(t, append([]string{"--tmp-dir", tmp, "--script-security", "2", "--auth-user-pass-verify", cmd, tt.method}, tt.options...)...)
			c := stock(t, l.client, l.clientArgs("--auth-user-pass", l.login(t, "user1", tt.pass)))
			if tt.refused == "" {
				c.WaitLine(t, up, upLimit)
				ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
			} else {
				if line := c.WaitLine(t, "AUTH_FAILED", upLimit); !strings.HasSuffix(line, tt.refused) {
					t.Errorf("the client reads %q, want %q", line, tt.refused)
				}
			}
			if tt.line != "" {
				s.WaitLine(t, tt.line, upLimit)
			}
			terminate(t, s)
			if left := leftovers(t, tmp, "openvpn_"); len(left) > 0 {
				t.Errorf("files left behind: %v", left)
			}
		})
	}
}

func leftovers(t *testing.T, dir, prefix string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			names = append(names, e.Name())
		}
	}
	return names
}

// User names and common names that would hurt a careless script arrive as they are, in variables and files only.
func TestServerWithHostileNames(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	evil := "$(touch " + l.file("pwned") + ")`id`;'\"|&<>*?\\ ../../x"
	out := l.file("seen")
	cmd := l.script(t, "verify.sh", `printf '%s' "$username" >`+out+`; exit 0`)
	l.issue(t, "evil", pki.Spec{Name: "../../etc/$(id)\n;x"})
	connect := l.script(t, "connect.sh", `printf '%s' "$common_name" >`+l.file("cn")+`; exit 0`)
	s := l.ourServer(t, "--script-security", "2", "--auth-user-pass-verify", cmd, "via-file", "--client-connect", connect, "--client-config-dir", l.dir)
	l.stockClient(t, "--auth-user-pass", l.login(t, evil, "pass"), "--cert", "evil.crt", "--key", "evil.key")
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	if got, _ := os.ReadFile(out); string(got) != evil {
		t.Errorf("the script saw user name %q, want %q", got, evil)
	}
	if got, _ := os.ReadFile(l.file("cn")); string(got) != "../../etc/$(id)_;x" {
		t.Errorf("the script saw common name %q", got)
	}
	if _, err := os.Stat(l.file("pwned")); err == nil {
		t.Error("a user name was executed")
	}
	for line := range strings.SplitSeq(s.Log(), "\n") {
		if strings.HasPrefix(line, ";x") {
			t.Errorf("a name broke a log line: %q", line)
		}
	}
	terminate(t, s)
}

// Options that have to fit: opt-verify refuses a client whose options differ, ns-cert-type one whose certificate is not a
// client's; others are let in.
func TestServerComparesOptions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		server, client []string
		refused        string // in the server's log
	}{
		{name: "same", server: []string{"--opt-verify", "--tls-auth", "ta.key", "0"}, client: []string{"--tls-auth", "ta.key", "1"}},
		{name: "tells nothing", server: []string{"--opt-verify"}, client: []string{"--disable-occ"}},
		{name: "fragment", server: []string{"--opt-verify", "--fragment", "1300"}, client: []string{"--fragment", "1300"}},
		{
			name: "other digest", server: []string{"--opt-verify"}, client: []string{"--auth", "SHA512"},
			refused: "Option inconsistency warnings triggering disconnect due to --opt-verify",
		},
		{name: "client certificate", server: []string{"--ns-cert-type", "client"}},
		{name: "server certificate", server: []string{"--ns-cert-type", "server"}, refused: "VERIFY nsCertType ERROR: CN=client1, require nsCertType=SERVER"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			s := l.ourServer(t, tt.server...)
			c := stock(t, l.client, l.clientArgs(l.paths(tt.client)...))
			if tt.refused == "" {
				c.WaitLine(t, up, upLimit)
				ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
			} else {
				s.WaitLine(t, tt.refused, upLimit)
				if strings.Contains(c.Log(), up) {
					t.Error("the client is connected")
				}
			}
			terminate(t, s)
		})
	}
}

// A client's file gives it another user name. A token is good for that one; without tokens the client goes on by its own.
func TestServerOverridesUserName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, renewal string
		server        []string
	}{
		{"token", "TLS: Username/auth-token authentication succeeded for username 'luna'", []string{"--auth-gen-token", "3600"}},
		{"password", "TLS: Username/Password authentication succeeded for username 'luna'", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			if err := os.Mkdir(l.file("ccd"), 0o755); err != nil {
				t.Fatal(err)
			}
			l.write(t, "ccd/client1", []byte("override-username luna\n"))
			cmd := l.script(t, "verify.sh", `{ read u; read p; } <"$1"; test "$u/$p/$username" = user1/pass/user1`)
			sock := l.file("mgmt.sock")
			s := l.ourServer(t, append([]string{
				"--client-config-dir", l.file("ccd"), "--script-security", "2", "--auth-user-pass-verify", cmd, "via-file",
				"--hand-window", "5", "--reneg-sec", "60", "--management", sock, "unix",
			}, tt.server...)...)
			l.stockClient(t, "--auth-user-pass", l.login(t, "user1", "pass"), "--reneg-sec", "3")
			s.WaitLine(t, tt.renewal, upLimit)
			ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
			r, err := manage(t, sock).Cmd(t.Context(), "status 2")
			if err != nil || !strings.Contains(strings.Join(r.Raw, "\n"), ",luna,") {
				t.Errorf("the report does not show the name: %q, %v", r.Raw, err)
			}
			terminate(t, s)
		})
	}
}

// A client's own file, or its connect script, decides about the framing of its packets and its fallback cipher.
func TestServerFramesForOneClient(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	if err := os.Mkdir(l.file("ccd"), 0o755); err != nil {
		t.Fatal(err)
	}
	l.write(t, "ccd/client1", []byte("comp-lzo no\npush \"comp-lzo no\"\n"))
	s := l.ourServer(t, "--client-config-dir", l.file("ccd"))
	l.stockClient(t)
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	l.issue(t, "other", pki.Spec{Name: "other"})
	n, server := l.host(t)
	l.stockClientOn(t, n, server, "--cert", "other.crt", "--key", "other.key")
	ping(t, n, "10.8.0.1", 3, 0, "0.1")
	terminate(t, s)
}

// push-update reaches the clients that announced that they understand it, and nobody else.
func TestServerUpdatesOptions(t *testing.T) {
	t.Parallel()
	l, s, m, _ := hostileLab(t)
	p, err := l.newPuppet(openUDP(t, l.client, "", "10.99.0.1:1194"), "V4", strings.Replace(usual, "IV_PROTO=990", "IV_PROTO=5086", 1)) // bit 12
	if err != nil {
		t.Fatal(err)
	}
	defer p.session.Close()
	if err := p.play(5*time.Second, func() bool { return p.told("PUSH_REPLY") }); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ command, want string }{
		{`push-update-broad "route 10.9.0.0 255.255.0.0,-?dns"`, "SUCCESS: 1 client(s) updated"},
		{`push-update-broad "cipher none"`, "SUCCESS: 1 client(s) updated"}, // which options may change is the client's to say
		{`push-update-cid 0 "route 10.9.0.0 255.255.0.0"`, "ERROR: no client updated"},
		{`push-update-cid 77 "route 10.9.0.0 255.255.0.0"`, "ERROR: no client updated"},
		{`push-update-cid 1 "route-metric 5"`, "SUCCESS: 1 client(s) updated"},
	} {
		r, _ := m.Cmd(t.Context(), tt.command)
		if !strings.Contains(strings.Join(r.Raw, "\n"), tt.want) {
			t.Errorf("%s: %q, want %q", tt.command, r.Raw, tt.want)
		}
	}
	if err := p.play(5*time.Second, func() bool { return p.told("PUSH_UPDATE,route-metric 5") }); err != nil {
		t.Fatal(err)
	}
	if !p.told("PUSH_UPDATE,route 10.9.0.0 255.255.0.0,-?dns") {
		t.Errorf("the client was told %q", p.texts)
	}
	terminate(t, s)
}

// A token takes the password's place over renewals and restarts, until it is too old.
func TestServerIssuesTokens(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	calls := l.file("calls")
	cmd := l.script(t, "verify.sh", `echo "$username" >>`+calls+`; exit 0`)
	s := l.ourServer(t, "--script-security", "2", "--auth-user-pass-verify", cmd, "via-file", "--auth-gen-token", "3600", "--hand-window", "5", "--reneg-sec", "60")
	c := l.stockClient(t, "--auth-user-pass", l.login(t, "user1", "pass"), "--reneg-sec", "3")
	s.WaitLine(t, "TLS: Username/auth-token authentication succeeded for username 'user1'", upLimit)
	s.WaitLine(t, "'PUSH_REPLY,auth-tokenSESS_ID'", upLimit)
	ping(t, l.client, "10.8.0.1", 50, 0, "0.1")
	if got, _ := os.ReadFile(calls); string(got) != "user1\n" {
		t.Errorf("the script was called for %q, want once", got)
	}
	if strings.Contains(s.Log(), "SESS_ID_AT_") {
		t.Error("a token is in the log, for whoever reads it to log in with")
	}
	terminate(t, c)
	terminate(t, s)
}

// A further step may be asked for at a renewal, however old the session is.
func TestServerPendingAtRenewal(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	sock := l.file("mgmt.sock")
	s := l.ourServer(t, "--management", sock, "unix", "--management-client-auth", "--hand-window", "5", "--reneg-sec", "8")
	d := &desk{t, manage(t, sock), nil}
	d.events = d.m.Subscribe(mgmt.KindClient)
	c := stock(t, l.client, l.clientArgs("--auth-user-pass", l.login(t, "user1", "pass"), "--reneg-sec", "60"))
	cid, kid, _ := d.login()
	do(t, d.m, "client-auth-nt", cid, kid)
	c.WaitLine(t, up, upLimit)
	cid, kid, _ = d.login()
	from := s.Lines()
	do(t, d.m, "client-pending-auth", cid, kid, "CR_TEXT:R,E:Code", "4")
	s.WaitLineAfter(t, from, "AUTH_PENDING,timeout 4", upLimit)
	time.Sleep(1500 * time.Millisecond) // longer than between two looks at what is overdue
	do(t, d.m, "client-auth-nt", cid, kid)
	ping(t, l.client, "10.8.0.1", 20, 0, "0.05")
	terminate(t, c)
	terminate(t, s)
}

// The management port decides: it admits with options, refuses with a reason, and asks for a further step.
func TestServerAsksTheManagementPort(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	sock := l.file("mgmt.sock")
	s := l.ourServer(t, "--management", sock, "unix", "--management-client-auth")
	m := manage(t, sock)
	sub := m.Subscribe(mgmt.KindClient)
	next := func(want string) (cid, kid string) {
		t.Helper()
		for {
			n, err := notified(t, sub)
			if err != nil {
				t.Fatal(err)
			}
			f := strings.Split(n.Text, ",")
			if f[0] == "ADDRESS" && want != "ADDRESS" {
				continue
			}
			if f[0] != want {
				t.Fatalf("event %q, want %s", n.Text, want)
			}
			return f[1], strings.Join(f[2:], ",")
		}
	}
	args := []string{"--auth-user-pass", l.login(t, "user1", "pass"), "--reneg-sec", "5", "--explicit-exit-notify", "1"}
	c := stock(t, l.client, l.clientArgs(args...))
	cid, kid := next("CONNECT")
	if cid != "0" || kid != "1" {
		t.Errorf("the first client is %s,%s, want 0,1", cid, kid)
	}
	if _, err := m.Block(t.Context(), "client-auth "+cid+" "+kid, []string{"ifconfig-push 10.8.0.77 255.255.255.0", `push "route 10.55.0.0 255.255.0.0"`}); err != nil {
		t.Fatal(err)
	}
	if _, rest := next("ADDRESS"); rest != "10.8.0.77,1" {
		t.Errorf("address event %q", rest)
	}
	next("ESTABLISHED")
	c.WaitLine(t, up, upLimit)
	if got := ownTunnelAddress(t, l.client); got != "10.8.0.77" {
		t.Errorf("the client has %s, want the address of client-auth", got)
	}
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	cid, kid = next("REAUTH")
	do(t, m, "client-auth-nt", cid, kid)
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	c.Stop(t)
	next("DISCONNECT")

	c = stock(t, l.client, l.clientArgs(args...))
	cid, kid = next("CONNECT")
	do(t, m, "client-pending-auth", cid, kid, "CR_TEXT:R,E:Enter TOTP", "20")
	c.WaitLine(t, "AUTH_PENDING", upLimit)
	do(t, m, "client-deny", cid, kid, "for the log", "closed on Sundays")
	c.WaitLine(t, "AUTH_FAILED,closed on Sundays", upLimit)
	s.WaitLine(t, "for the log", upLimit)
	next("DISCONNECT")
	terminate(t, s)
}

// An answer to a challenge that nobody asked for starts no script and does not end a session that was admitted.
func TestServerIgnoresUnaskedAnswers(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := l.ourServer(t, "--script-security", "2", "--client-crresponse", l.script(t, "refuse.sh", "echo ran >"+l.file("ran")+"; exit 1"))
	p, err := l.newPuppet(openUDP(t, l.client, "", "10.99.0.1:1194"), "V4", usual)
	if err != nil {
		t.Fatal(err)
	}
	defer p.session.Close()
	if err := p.play(5*time.Second, func() bool { return p.told("PUSH_REPLY") }); err != nil {
		t.Fatal(err)
	}
	if err := p.session.SendText("CR_RESPONSE,MTIz"); err != nil {
		t.Fatal(err)
	}
	_ = p.play(time.Second, func() bool { return p.told("AUTH_FAILED") })
	if p.told("AUTH_FAILED") || fileText(l.file("ran")) != "" {
		t.Errorf("the client was told %q, the script: %q", p.texts, fileText(l.file("ran")))
	}
	terminate(t, s)
}
