package server_test

import (
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// What lets a reader finish somebody's login reaches seats with the right to decide about logins, and no others: in log lines as
// they come and from the history, in messages and in refusals.
func TestLoginSecretsByRole(t *testing.T) {
	const secret = "s3cr3t"
	texts := []string{
		"SENT CONTROL [alice]: 'INFO_PRE,WEB_AUTH:external:https://sso.example/?state=" + secret + "' (status=1)",
		"SENT CONTROL [alice]: 'AUTH_FAILED,CRV1:R,E:" + secret + ":YWxpY2U=:PIN' (status=1)",
		"AUTH: Received control message: AUTH_FAILED,CRV1:R,E:" + secret + ":YWxpY2U=:PIN",
		"MANAGEMENT: CMD 'client-pending-auth 0 1 \"CR_TEXT:R,E:" + secret + "\" 60'",
		"MANAGEMENT: CMD 'client-deny 0 1 no \"CRV1:R:" + secret + ":YQ==:x\"'",
		"Info command was pushed by server ('OPEN_URL:https://sso.example/" + secret + "')",
		"SENT CONTROL [server]: 'CR_RESPONSE," + secret + "' (status=1)",
		"auth-token SESS_ID_AT_" + secret,
		"WEB_AUTH:x:CRV1:" + secret,
	}
	for _, role := range []mgmt.Role{mgmt.RoleObserve, mgmt.RoleOperate, mgmt.RoleAuth, mgmt.RoleAdmin} {
		d := mgmttest.NewDaemon(t, server.Config{})
		s := attach(t, dial(t, "tcp", d.ListenTCP(server.Access{Role: role})))
		s.send("log on")
		s.until("SUCCESS")
		for _, text := range texts {
			d.Log(mgmt.LogEntry{Text: text})
		}
		for _, text := range []string{"WEB_AUTH::https://sso.example/" + secret, "OPEN_URL:https://" + secret, "CR_TEXT:R,E:" + secret} {
			d.InfoMsg(text)
		}
		d.PasswordFailed(mgmt.SecretAuth, "CRV1:R,E:"+secret+":YWxpY2U=:PIN")
		s.send("log all")
		s.send("log 3")
		s.send("pid")
		seen, lines := 0, 0
		for {
			line, err := s.r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(line, "SUCCESS: pid=") {
				break
			}
			if strings.Contains(line, secret) {
				seen++
			} else if strings.Contains(line, "[...]\r\n") {
				lines++
			}
			if !strings.HasSuffix(line, "\r\n") {
				t.Errorf("%v: line %q", role, line)
			}
		}
		want := 2*len(texts) + 4 + 3
		if !role.May(mgmt.RoleAuth) {
			seen, lines = lines, seen
		}
		if seen != want || lines != 0 {
			t.Errorf("%v: %d lines as meant, want %d; %d otherwise", role, seen, want, lines)
		}
	}
}

// A script that floods its daemon with commands does not flood the log: the lines of the others are counted.
func TestCommandsOfAFlood(t *testing.T) {
	const sent, rate = 5000, 10
	var mu sync.Mutex
	logged, counted := 0, 0
	d := mgmttest.NewDaemon(t, server.Config{Log: func(_ int, _, text string) {
		mu.Lock()
		defer mu.Unlock()
		if strings.HasPrefix(text, "MANAGEMENT: CMD ") {
			logged++
		}
		if rest, ok := strings.CutSuffix(text, " commands of flood.lua were too many to be logged"); ok {
			n, _ := strconv.Atoi(strings.TrimPrefix(rest, "MANAGEMENT: "))
			counted += n
		}
	}})
	ours, theirs := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = d.ServeConn(t.Context(), ours, server.Access{Name: "flood.lua", LogRate: rate})
	}()
	go func() { _, _ = io.Copy(io.Discard, theirs) }()
	for range sent {
		if _, err := io.WriteString(theirs, "pid\n"); err != nil {
			t.Fatal(err)
		}
	}
	theirs.Close()
	<-served
	mu.Lock()
	defer mu.Unlock()
	if logged+counted != sent || logged < 10*rate || counted < sent/2 {
		t.Errorf("%d commands logged, %d counted, of %d", logged, counted, sent)
	}
}
