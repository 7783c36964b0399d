package server_test

import (
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// A block has one reply, after END, whatever its lines are; with a refused line it is not executed.
func TestBlockHasOneReply(t *testing.T) {
	long := strings.Repeat("x", 1024)
	commands := []struct {
		name, line, ask, ok string
		version             int
	}{
		{"client-auth", "client-auth 0 1", "", "SUCCESS: client-auth command succeeded", 5},
		{"certificate", "certificate", "ask-cert hint", "SUCCESS: certificate command succeeded", 5},
		{"pk-sig", "pk-sig", "sign data ECDSA", "SUCCESS: pk-sign command succeeded", 5},
		{"rsa-sig", "rsa-sig", "sign data ECDSA", "SUCCESS: pk-sign command succeeded", 5},
		{"password", "password Auth", "secret Auth", "SUCCESS: 'Auth' password entered, but not yet verified", 6},
	}
	blocks := []struct {
		name  string
		lines []string
		want  string // "" for success
	}{
		{"no line", nil, ""},
		{"a line", []string{"c2ln"}, ""},
		{"a command as line", []string{"pid"}, ""},
		{"a long line first", []string{long, "c2ln"}, "line is longer than 1023 bytes"},
		{"a long line last", []string{"c2ln", long}, "line is longer than 1023 bytes"},
		{"two long lines", []string{long, "c2ln", long}, "line is longer than 1023 bytes"},
		{"too much", append(make([]string, 0, 1100), strings.Split(strings.Repeat(strings.Repeat("x", 1000)+"\n", 1100), "\n")...), "more than 1048576 bytes"},
	}
	for _, c := range commands {
		for _, b := range blocks {
			t.Run(c.name+", "+b.name, func(t *testing.T) {
				d := mgmttest.NewDaemon(t, server.Config{Version: c.version})
				setup := []string{"mode server", "peer 0 1 cn 10.0.0.1:1 pending"}
				if c.ask != "" {
					setup = []string{"mode client", c.ask}
				}
				s := attach(t, d.Pipe(server.Access{}))
				s.send("version 6\npid") // at once: nobody reads between two writes to a pipe
				s.until("SUCCESS: pid=")
				for _, s := range setup {
					if err := d.Do(s); err != nil {
						t.Fatal(err)
					}
				}
				if c.ask != "" {
					s.until(">")
				}
				d.Ctl.Calls()
				go s.conn.Write([]byte(c.line + "\n" + strings.Join(append(b.lines, "END", "nclients", "pid"), "\n") + "\n"))
				got, _ := s.until("")
				switch {
				case b.want == "" && c.name == "password" && b.name == "a command as line":
					if got != "ERROR: could not base64-decode password" {
						t.Errorf("reply %q", got)
					}
				case b.want == "" && got != c.ok:
					t.Errorf("reply %q, want %q", got, c.ok)
				case b.want != "" && (!strings.HasPrefix(got, "ERROR: ") || !strings.HasSuffix(got, " command failed: "+b.want)):
					t.Errorf("reply %q", got)
				}
				if _, n := s.until("SUCCESS: pid="); n != 1 {
					t.Errorf("%d replies between the block's and the last, want 1", n)
				}
				for _, call := range d.Ctl.Calls() {
					if b.want != "" && (strings.HasPrefix(call, "ClientAuth") || strings.HasPrefix(call, "answer")) {
						t.Errorf("a refused block was executed: %s", call)
					}
				}
			})
		}
	}
}

// A seat without the right to a block is told once, after END: its lines are no commands.
func TestRefusedRoleReadsTheBlock(t *testing.T) {
	d := mgmttest.NewDaemon(t, server.Config{})
	for _, line := range []string{"client-auth 0 1", "certificate", "pk-sig", "rsa-sig"} {
		s := attach(t, d.Pipe(server.Access{Role: mgmt.RoleObserve}))
		s.send(line + "\nverb\nEND\npid")
		name, _, _ := strings.Cut(line, " ")
		if _, n := s.until("ERROR: the '" + name + "' command is not permitted here"); n != 0 {
			t.Errorf("%s: %d lines before the refusal", line, n)
		}
		if _, n := s.until("SUCCESS: pid="); n != 0 {
			t.Errorf("%s: %d lines of the block were commands", line, n)
		}
	}
}
