package server

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
)

// Under username-as-common-name a client that logs in without a name has no common name: that of its certificate gives it neither
// the file nor the place of the user of that name. So it is with stock.
func TestNamelessLoginHasNoCommonName(t *testing.T) {
	for _, tt := range []struct {
		name, user string
		extra      []string
		want       string // of the files in client-config-dir
		cn         string
	}{
		{name: "guest", extra: []string{"--username-as-common-name"}, want: "UNDEF"},
		{name: "guest among exclusive ones", extra: []string{"--username-as-common-name", "--ccd-exclusive"}, want: "UNDEF"},
		{name: "user", user: "bob", extra: []string{"--username-as-common-name"}, want: "bob", cn: "bob"},
		{name: "by certificate", want: "client1", cn: "client1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range []string{"client1", "bob", "UNDEF"} {
				if err := os.WriteFile(dir+"/"+name, []byte("push \"echo file "+name+"\"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			seen := dir + "/seen"
			script := dir + "/connect.sh"
			if err := os.WriteFile(script, []byte("#!/bin/sh\necho \"$common_name\" >"+seen+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			r := newNamedRig(t, "udp4", append([]string{
				"--script-security", "3", "--auth-user-pass-verify", "/bin/true", "via-env", "--auth-user-pass-optional", "--client-config-dir", dir, "--client-connect", script,
			}, tt.extra...)...)
			c, err := r.dial("", ctrlwrap.NewPlain())
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			c.user, c.pass = tt.user, "p"
			if tt.user == "" {
				c.pass = ""
			}
			if !c.up(10*time.Second) || !strings.Contains(strings.Join(c.texts, " "), "echo file "+tt.want) {
				t.Errorf("it was told %q, want the file of %s", c.texts, tt.want)
			}
			if got := strings.TrimSpace(string(mustRead(t, seen))); got != tt.cn {
				t.Errorf("client-connect saw the common name %q, want %q", got, tt.cn)
			}
		})
	}
}
