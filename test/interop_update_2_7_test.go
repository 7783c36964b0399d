//go:build linux

package test

import (
	"strings"
	"testing"
)

// Servers and clients of both kinds change options of a connection that is up: routes come and go, options that nobody knows
// are passed on, the server learns new addresses as they are sent, and forgets the update for clients that come later.
func TestPushUpdateBothWays(t *testing.T) {
	t.Parallel()
	for _, roles := range []struct {
		name           string
		server, client starter
	}{{"stock server", stock27, ours}, {"stock client", ours, stock27}, {"both ours", ours, ours}} {
		t.Run(roles.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			sock := l.file("server.sock")
			hook := l.script(t, "learn.sh", `echo "$*" >>`+l.file("learned")+`; case "$*" in *10.8.0.66*) exit 1;; esac`)
			s := roles.server(t, l.server, l.serverArgs("--management", sock, "unix", "--server-ipv6", "fd00:8::/64", "--script-security", "2", "--learn-address", hook, "--verb", "4"))
			s.WaitLine(t, up, upLimit)
			c := roles.client(t, l.client, l.clientArgs("--verb", "4"))
			c.WaitLine(t, up, upLimit)
			port := manage(t, sock)
			const done = "SUCCESS: 1 client(s) updated|SUCCESS: push-update command succeeded"
			const none = "ERROR: no client updated|ERROR: push-update command failed"
			for _, tt := range []struct{ command, reply, address, routes string }{
				{`push-update-broad "route 10.55.0.0 255.255.0.0"`, done, "10.8.0.2", "10.55.0.0/16"},
				{`push-update-broad "?no-such-option 1,-?nor-this,route 10.56.0.0 255.255.0.0"`, done, "10.8.0.2", "10.56.0.0/16"},
				{`push-update-cid 0 "-route"`, done, "10.8.0.2", ""},
				{`push-update-cid 0 "ifconfig 10.8.0.77 255.255.255.0"`, done, "10.8.0.77", ""},
				{`push-update-cid 0 "?ifconfig 10.8.0.78 255.255.255.0,ifconfig-ipv6 fd00:8::78/64 fd00:8::1"`, done, "10.8.0.78", ""},
				{`push-update-cid 99 "-route"`, none, "10.8.0.78", ""},
				{`push-update-cid x "-route"`, "ERROR: cannot parse CID|ERROR: push-update-cid fail during cid parsing", "10.8.0.78", ""},
			} {
				r, err := port.Cmd(t.Context(), tt.command)
				if reply := strings.Join(r.Raw, "|"); err != nil && !strings.HasPrefix(tt.reply, "ERROR") || reply != tt.reply {
					t.Fatalf("%s: %q, %v", tt.command, reply, err)
				}
				await(t, "the client is at "+tt.address+" with "+tt.routes, upLimit, func() bool {
					addr, _ := l.client.TryRun("ip", "-4", "-o", "addr", "show", "dev", "tun0")
					routes, _ := l.client.TryRun("ip", "-4", "route", "show", "dev", "tun0")
					return strings.Contains(addr, " "+tt.address+"/24 ") && strings.Contains(routes, tt.routes) && (tt.routes != "" || !strings.Contains(routes, " via "))
				})
				await(t, "pings through the tunnel after "+tt.command, upLimit, func() bool {
					_, err := l.client.TryRun("ping", "-n", "-c", "1", "-W", "1", "10.8.0.1")
					return err == nil
				})
			}
			r, err := port.Cmd(t.Context(), "status 2")
			if list := strings.Join(r.Raw, "\n"); err != nil || !strings.Contains(list, "ROUTING_TABLE,10.8.0.78,client1,") || !strings.Contains(list, "ROUTING_TABLE,fd00:8::78,client1,") || strings.Contains(list, "10.8.0.2,") {
				t.Errorf("status: %v\n%s", err, list)
			}
			// An address that the script refuses leads nowhere. With it goes the way back, so this comes last.
			if r, err := port.Cmd(t.Context(), `push-update-cid 0 "ifconfig 10.8.0.66 255.255.255.0"`); err != nil || strings.Join(r.Raw, "|") != done {
				t.Errorf("refused by the script: %q, %v", r.Raw, err)
			}
			s.WaitLine(t, "MULTI: Learn FAILED: 10.8.0.66", upLimit)
			c.Stop(t)
			do(t, port, "kill", "client1")
			again := roles.client(t, l.client, l.clientArgs("--verb", "4"))
			again.WaitLine(t, up, upLimit)
			if line := again.WaitLine(t, "'PUSH_REPLY", upLimit); strings.Contains(line, "10.56.") || strings.Contains(line, "10.8.0.78") {
				t.Errorf("an update is kept for a client that comes later: %s", line)
			}
			// Ours runs scripts about different addresses side by side, so each family has an order of its own. Stock tells of what a
			// client that went away had when it gets round to it, so only the start counts.
			want4 := "add 10.8.0.2 client1|delete 10.8.0.2|add 10.8.0.77 client1|delete 10.8.0.77|add 10.8.0.78 client1|delete 10.8.0.78|add 10.8.0.66 client1|"
			want6 := "add fd00:8::1000 client1|delete fd00:8::1000|add fd00:8::78 client1|"
			var got4, got6 string
			for line := range strings.SplitSeq(strings.TrimSpace(fileText(l.file("learned"))), "\n") {
				if strings.Contains(line, "fd00:") {
					got6 += line + "|"
				} else {
					got4 += line + "|"
				}
			}
			if !strings.HasPrefix(got4, want4) || !strings.HasPrefix(got6, want6) {
				t.Errorf("learn-address:\ngot  %s, %s\nwant %s, %s", got4, got6, want4, want6)
			}
		})
	}
}
