package server_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// needs says which role a use of a command needs. The table of mgmt must agree: who may do what does not change by accident.
var needs = map[mgmt.Role][]string{
	mgmt.RoleObserve: {
		"auth-retry", "bytecount 0", "echo all", "env-filter", "fleet-status", "help", "hold", "load-stats", "log all", "mute", "nclients", "net", "pid", "pkcs11-id-count",
		"pkcs11-id-get 0", "remote-entry-count", "remote-entry-get all", "scripts", "state", "status", "test 1", "verb", "version",
	},
	mgmt.RoleOperate: {
		"auth-retry none", "client-kill 0", "fleet-kill cn x", "forget-passwords", "hold on", "hold off", "hold release", "kill cn", "mute 1", "network-change", "proxy NONE",
		"remote ACCEPT", "signal SIGUSR2", "signal SIGTERM", "verb 1",
	},
	mgmt.RoleAuth: {
		"certificate", "client-auth 0 1", "client-auth-nt 0 1", "client-deny 0 1 r", "client-pending-auth 0 1 x 1", "cr-response eA==", "needok t ok", "needstr t x",
		"password Auth x", "pk-sig", "rsa-sig", "username Auth x",
	},
	mgmt.RoleAdmin: {"fleet-ban user x", "fleet-ccd x", "fleet-ccd-rm x", "fleet-config", "fleet-revoke 1", "fleet-unrevoke 1", "fleet-drain", "fleet-unban cn x", "push-update-broad x", "push-update-cid 0 x", "reload", "reload full"},
}

// Every command of the table, by every role: refused without the right, and executed with it.
func TestEveryCommandByEveryRole(t *testing.T) {
	var words []string
	for _, lines := range needs {
		for _, l := range lines {
			word, _, _ := strings.Cut(l, " ")
			words = append(words, word)
		}
	}
	for _, c := range mgmt.Commands() {
		if c.Name != "exit" && c.Name != "quit" && !slices.Contains(words, c.Name) {
			t.Errorf("%s: who may use it?", c.Name)
		}
	}
	for _, role := range []mgmt.Role{mgmt.RoleObserve, mgmt.RoleOperate, mgmt.RoleAuth, mgmt.RoleOperate | mgmt.RoleAuth, mgmt.RoleAdmin} {
		d := mgmttest.NewDaemon(t, server.Config{})
		if err := d.Do("mode server"); err != nil {
			t.Fatal(err)
		}
		s := attach(t, dial(t, "tcp", d.ListenTCP(server.Access{Role: role})))
		for need, lines := range needs {
			for _, line := range lines {
				s.send(line + "\nEND\npkcs11-id-get 77")
				refused := false
				for reply := ""; reply != ">PKCS11ID-ENTRY:'77'"; {
					reply, _ = s.until("")
					refused = refused || strings.Contains(reply, "is not permitted here, it needs the role "+need.String())
				}
				if refused == role.May(need) {
					t.Errorf("%v: %s: refused %v", role, line, refused)
				}
			}
		}
	}
}
