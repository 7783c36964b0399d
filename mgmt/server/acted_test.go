package server_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// Acted hears of every command that changes something, of no other, and of no secret.
func TestActed(t *testing.T) {
	var mu sync.Mutex
	var heard []string
	d := mgmttest.NewDaemon(t, server.Config{Acted: func(who, command string) {
		mu.Lock()
		defer mu.Unlock()
		if who == "" {
			t.Errorf("%s: by nobody", command)
		}
		heard = append(heard, command)
	}})
	if err := d.Do("mode server"); err != nil {
		t.Fatal(err)
	}
	const secret = "moonlight"
	s := attach(t, dial(t, "tcp", d.ListenTCP(server.Access{})))
	for need, lines := range needs {
		for _, line := range lines {
			mu.Lock()
			heard = nil
			mu.Unlock()
			word, _, _ := strings.Cut(line, " ")
			if need.CanAnswer() { // texts of users come with it
				line = strings.ReplaceAll(line, " x", " "+secret) + " " + secret + "\n" + secret
			}
			s.send(line + "\nEND\npkcs11-id-get 77")
			for reply := ""; reply != ">PKCS11ID-ENTRY:'77'"; {
				reply, _ = s.until("")
			}
			mu.Lock()
			got := strings.Join(heard, "\n")
			mu.Unlock()
			if (need != mgmt.RoleObserve) != strings.HasPrefix(got, word) {
				t.Errorf("%s: heard %q", line, got)
			}
			if strings.Contains(got, secret) && word != "reload" {
				t.Errorf("%s: heard the secret: %q", line, got)
			}
		}
	}
}
