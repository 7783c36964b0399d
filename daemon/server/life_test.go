package server

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/mgmt"
)

// life is one client's life with a server, from its first packet: what the server has, does, and what comes of it.
type life struct {
	name    string
	options []string
	files   map[string]string // in the rig's folder, which options name as @NAME; scripts begin with "#!"
	user    string
	pass    string
	do      func(t *testing.T, r *rig, c *caller)
	hears   []string // beginnings of texts, in their order
	never   string   // no text begins so
	push    []string // options of the first PUSH_REPLY
	log     []string
	waits   bool // for a process in the background, and so in real time
}

// A server's configuration decides what becomes of a client, and what it hears.
func TestLives(t *testing.T) {
	t.Parallel()
	verify := []string{"--script-security", "3", "--auth-user-pass-verify", "@verify", "via-env", "--tmp-dir", "@"}
	port := []string{"--management-client-auth", "--auth-user-pass-optional", "--management", "@sock", "unix"}
	asked := func(t *testing.T, r *rig, c *caller) {
		t.Helper()
		if !c.play(10*time.Second, func() bool { return r.port.count("connect") > 0 && c.active[0] }) {
			t.Fatalf("the port is not asked: %v", c.failed)
		}
	}
	for _, l := range []life{
		{name: "nothing special", hears: []string{"PUSH_REPLY"}, push: []string{"ifconfig 10.8.0.2 255.255.255.0", "cipher AES-256-GCM"}},
		{
			name: "a file of its own", options: []string{"--client-config-dir", "@", "--push", "echo all", "--push", "route 192.168.7.0 255.255.255.0"},
			files: map[string]string{"client1": "ifconfig-push 10.8.0.77 255.255.255.0\npush \"echo mine\"\niroute 192.168.7.0 255.255.255.0\n"},
			hears: []string{"PUSH_REPLY"}, push: []string{"ifconfig 10.8.0.77 255.255.255.0", "echo all", "echo mine"},
			log: []string{"MULTI: Learn: 10.8.0.77 -> client1/", "MULTI: internal route 192.168.7.0/24 -> client1/", "REMOVE PUSH ROUTE: 'route 192.168.7.0 255.255.255.0'"},
		},
		{
			name: "an address outside", options: []string{"--client-config-dir", "@", "--ifconfig-push-constraint", "10.8.0.0", "255.255.255.0"},
			files: map[string]string{"DEFAULT": "ifconfig-push 10.9.0.5 255.255.255.0\n"}, hears: []string{"PUSH_REPLY"},
			log: []string{"violates tunnel network/netmask constraint (10.8.0.0/255.255.255.0)"},
		},
		{
			name: "an address by name", options: []string{"--client-config-dir", "@"}, files: map[string]string{"client1": "ifconfig-push localhost 255.255.255.0\n"},
			hears: []string{"PUSH_REPLY"}, push: []string{"ifconfig 127.0.0.1 255.255.255.0"},
		},
		{
			name: "a name that there is not", options: []string{"--client-config-dir", "@"}, files: map[string]string{"client1": "ifconfig-push 10.8.0.77 no_host!\n"},
			hears: []string{"PUSH_REPLY"}, push: []string{"ifconfig 10.8.0.2 255.255.255.0"}, log: []string{"RESOLVE: Cannot parse IP address: no_host!: (Name or service not known)", "cannot parse --ifconfig-push addresses"},
		},
		{name: "no file of its own", options: []string{"--client-config-dir", "@", "--ccd-exclusive"}, hears: []string{"AUTH_FAILED"}, log: []string{"authentication failed for common name 'client1'"}},
		{name: "disabled", options: []string{"--client-config-dir", "@"}, files: map[string]string{"client1": "disable\n"}, hears: []string{"AUTH_FAILED"}, log: []string{"rejected due to 'disable' directive"}},
		{
			name: "client-connect", options: []string{"--script-security", "2", "--client-connect", "@cc", "--client-disconnect", "@cd", "--tmp-dir", "@"},
			files: map[string]string{"cc": "#!/bin/sh\necho 'push \"echo scripted\"' >\"$1\"\n", "cd": "#!/bin/sh\nexit 0\n"}, push: []string{"echo scripted"}, hears: []string{"PUSH_REPLY"},
		},
		{
			name: "client-connect refuses", options: []string{"--script-security", "2", "--client-connect", "@cc", "--client-disconnect", "@cd", "--tmp-dir", "@"},
			files: map[string]string{"cc": "#!/bin/sh\nexit 1\n", "cd": "#!/bin/sh\necho disconnected\n"}, hears: []string{"AUTH_FAILED"}, log: []string{"client-connect refused"},
			do: func(t *testing.T, r *rig, c *caller) {
				c.up(10 * time.Second)
				r.server.ClientKill(0, "")
				c.play(time.Second, func() bool { return false })
				if strings.Contains(r.log.String(), "disconnected") {
					t.Error("client-disconnect ran for a client whose client-connect refused")
				}
			},
		},
		{
			waits: true, name: "client-connect decides later", options: []string{"--script-security", "2", "--client-connect", "@cc", "--tmp-dir", "@"},
			files: map[string]string{"cc": "#!/bin/sh\necho 2 >\"$client_connect_deferred_file\"\n(/bin/sleep 0.2; echo 'push \"echo late\"' >\"$1\"; echo 1 >\"$client_connect_deferred_file\") >/dev/null 2>&1 &\n"},
			push:  []string{"echo late"}, hears: []string{"PUSH_REPLY"},
		},
		{name: "a good password", options: verify, files: map[string]string{"verify": "#!/bin/sh\n[ \"$password\" = right ]\n"}, user: "u", pass: "right", hears: []string{"PUSH_REPLY"}, log: []string{"authentication succeeded for username 'u'"}},
		{name: "a wrong password", options: verify, files: map[string]string{"verify": "#!/bin/sh\n[ \"$password\" = right ]\n"}, user: "u", pass: "wrong", hears: []string{"AUTH_FAILED"}, never: "PUSH_REPLY", log: []string{"TLS Auth Error: Auth Username/Password verification failed for peer"}},
		{name: "no password", options: verify, files: map[string]string{"verify": "#!/bin/sh\n"}, log: []string{"TLS Error: Auth Username/Password was not provided by peer"}},
		{name: "a reason", options: verify, files: map[string]string{"verify": "#!/bin/sh\necho because >\"$auth_failed_reason_file\"\nexit 1\n"}, user: "u", pass: "p", hears: []string{"AUTH_FAILED,because"}},
		{name: "decided later", waits: true, options: verify, files: map[string]string{"verify": "#!/bin/sh\n(/bin/sleep 0.2; echo 1 >\"$auth_control_file\") >/dev/null 2>&1 &\nexit 2\n"}, user: "u", pass: "p", hears: []string{"PUSH_REPLY"}, log: []string{"authentication deferred for username 'u'"}},
		{name: "refused later", waits: true, options: verify, files: map[string]string{"verify": "#!/bin/sh\n(/bin/sleep 0.2; echo 0 >\"$auth_control_file\") >/dev/null 2>&1 &\nexit 2\n"}, user: "u", pass: "p", hears: []string{"AUTH_FAILED"}},
		{
			name: "a further step of a script", waits: true, options: verify, user: "u", pass: "p", hears: []string{"AUTH_PENDING,timeout", "INFO_PRE,WEB_AUTH::http://x", "PUSH_REPLY"},
			files: map[string]string{"verify": "#!/bin/sh\nprintf '20\\nwebauth\\nWEB_AUTH::http://x\\n' >\"$auth_pending_file\"\n(/bin/sleep 0.3; echo 1 >\"$auth_control_file\") >/dev/null 2>&1 &\nexit 2\n"},
			do:    func(t *testing.T, r *rig, c *caller) { c.info += "IV_SSO=webauth\n"; c.restart(t, r) },
		},
		{
			name: "a step that the client does not know", options: verify, user: "u", pass: "p", hears: []string{"AUTH_FAILED,Authentication failed, required pending auth method 'webauth' not supported"},
			files: map[string]string{"verify": "#!/bin/sh\nprintf '20\\nwebauth\\nWEB_AUTH::http://x\\n' >\"$auth_pending_file\"\nexit 2\n"},
		},
		{name: "a long name", options: append([]string{"--username-as-common-name"}, verify...), files: map[string]string{"verify": "#!/bin/sh\n"}, user: strings.Repeat("n", 65), pass: "p", hears: []string{"AUTH_FAILED"}, log: []string{"longer than the maximum permitted Common Name length of 64"}},
		{name: "a name from the login", options: append([]string{"--username-as-common-name"}, verify...), files: map[string]string{"verify": "#!/bin/sh\n"}, user: "alice", pass: "p", hears: []string{"PUSH_REPLY"}, log: []string{"[CN SET]", "[alice] Peer Connection Initiated"}},
		{
			name: "a token", options: append([]string{"--auth-gen-token"}, verify...), files: map[string]string{"verify": "#!/bin/sh\n[ \"$password\" = right ]\n"}, user: "u", pass: "right", hears: []string{"PUSH_REPLY"},
			do: func(t *testing.T, r *rig, c *caller) {
				if !c.up(10 * time.Second) {
					t.Fatalf("not up: %q", c.texts)
				}
				_, token, _ := strings.Cut(strings.Join(c.texts, ","), "auth-token ")
				token, _, _ = strings.Cut(token, ",")
				c.pass = token
				c.restart(t, r)
				if token == "" || !c.up(10*time.Second) {
					t.Errorf("the token %q is not good for a login: %q", token, c.texts)
				}
			},
			log: []string{"TLS: Username/auth-token authentication succeeded for username 'u'"},
		},
		{
			name: "the port admits", options: port, push: []string{"echo from the port"}, hears: []string{"PUSH_REPLY"},
			do: func(t *testing.T, r *rig, c *caller) {
				asked(t, r, c)
				if r.server.ClientAuth(7, 1, nil) != nil || r.server.ClientAuth(0, 9, nil) != nil || r.server.ClientAuth(0, 0, nil) == nil {
					t.Error("an unknown client or key is admitted, or key 0 is not")
				}
				r.server.ClientAuth(0, 1, []string{`push "echo from the port"`})()
				c.up(10 * time.Second)
				if n := r.server.Clients(); n != 1 {
					t.Errorf("%d clients", n)
				}
				var counted int
				r.server.Traffic(func(cid uint64, n mgmt.ByteCount) { counted++ })
				if counted != 1 {
					t.Errorf("%d clients have byte counts", counted)
				}
			},
		},
		{name: "the port denies", options: port, hears: []string{"AUTH_FAILED,go away"}, log: []string{"MULTI: connection rejected: no, CLI:go away"}, do: func(t *testing.T, r *rig, c *caller) {
			asked(t, r, c)
			if r.server.ClientDeny(3, 1, "no", "") != nil {
				t.Error("a client that is not there is denied")
			}
			r.server.ClientDeny(0, 1, "no", "go away")()
		}},
		{name: "killed with a message", hears: []string{"PUSH_REPLY", "HALT,enough"}, do: func(t *testing.T, r *rig, c *caller) {
			c.up(10 * time.Second)
			if !r.server.ClientKill(0, "HALT,enough") || r.server.ClientKill(5, "") {
				t.Error("the client is not killed, or another one is")
			}
		}},
		{name: "killed by its address", hears: []string{"PUSH_REPLY"}, log: []string{"SIGTERM[soft,] received, client-instance exiting"}, do: func(t *testing.T, r *rig, c *caller) {
			c.up(10 * time.Second)
			if n := r.server.KillAddr(c.local(), "") + r.server.KillName("client1"); n != 1 {
				t.Errorf("%d killed, want the one", n)
			}
		}},
		{name: "no cipher in common", options: []string{"--data-ciphers", "CHACHA20-POLY1305"}, hears: []string{"AUTH_FAILED,Data channel cipher negotiation failed"}, log: []string{"PUSH: No common cipher between server and client."}},
		{name: "other options", options: []string{"--opt-verify"}, hears: []string{"AUTH_FAILED"}, log: []string{"Option inconsistency warnings triggering disconnect due to --opt-verify"}, do: func(t *testing.T, r *rig, c *caller) {
			c.options = "V4,dev-type tap,link-mtu 1500"
			c.restart(t, r)
		}},
		{name: "its session is over", options: []string{"--session-timeout", "1"}, hears: []string{"PUSH_REPLY"}, log: []string{"Session timeout, exiting"}},
		{name: "idle", options: []string{"--inactive", "1", "1000"}, hears: []string{"PUSH_REPLY"}, log: []string{"Inactivity timeout (--inactive), exiting"}},
		{name: "silent", options: []string{"--ping", "1", "--ping-restart", "2"}, hears: []string{"PUSH_REPLY"}, log: []string{"Inactivity timeout (--ping-restart), restarting"}},
		{name: "it leaves", hears: []string{"PUSH_REPLY"}, log: []string{"CC-EEN exit message received by peer", "Delayed exit in 5 seconds"}, do: func(t *testing.T, r *rig, c *caller) {
			c.up(10 * time.Second)
			_ = c.session.SendText("EXIT")
		}},
		{name: "another server expected", options: []string{"--remote-cert-tls", "server"}, log: []string{"certificate verify failed", "TLS Error: TLS handshake failed"}},
	} {
		t.Run(l.name, func(t *testing.T) {
			if l.waits {
				t.Parallel()
				l.play(t)
				return
			}
			inFakeTime(t, l.play)
		})
	}
}

// prepare writes the life's files and returns its options.
func (l *life) prepare(t *testing.T) (options []string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range l.files {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range l.options {
		if name, ok := strings.CutPrefix(o, "@"); ok {
			o = dir + "/" + name
		}
		options = append(options, o)
	}
	return options
}

func (l *life) play(t *testing.T) {
	proto := inMemory
	if l.waits {
		proto = "udp4"
	}
	r := newRig(t, proto, l.prepare(t)...)
	c, err := r.dial("", ctrlwrap.NewPlain())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	c.user, c.pass = l.user, l.pass
	if l.do != nil {
		l.do(t, r, c)
	}
	heard := func() bool {
		n := 0
		for _, text := range c.texts {
			if n < len(l.hears) && strings.HasPrefix(text, l.hears[n]) {
				n++
			}
		}
		return n == len(l.hears)
	}
	if !c.play(15*time.Second, heard) {
		t.Errorf("the client hears %q, want %q (%v)", c.texts, l.hears, c.failed)
	}
	for _, line := range l.log {
		if !c.play(15*time.Second, func() bool { return strings.Contains(r.log.String(), line) }) {
			t.Errorf("the log lacks %q", line)
		}
	}
	if l.never != "" && c.told(l.never) {
		t.Errorf("the client hears %q", c.texts)
	}
	for _, option := range l.push {
		if !strings.Contains(strings.Join(c.texts, ","), ","+option) {
			t.Errorf("%q is not pushed: %q", option, c.texts)
		}
	}
}
