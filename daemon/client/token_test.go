package client

import (
	"testing"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// A token that comes during a connection goes through the filters and the parser, as one at its start does.
func TestRenewedToken(t *testing.T) {
	for _, tt := range []struct {
		filter, arg string
		user, token string // of the next login
	}{
		{"", "auth-token T2", "joe", "T2"},
		{"", `"auth-token" "T2"`, "joe", "T2"},
		{"", "auth-token T2,auth-token-user VQ==", "U", "T2"},
		{"", "auth-token", "joe", "T1"},
		{"", "route 10.0.0.0 255.0.0.0", "joe", "T1"},
		{"auth-token", "auth-token T2", "joe", "T1"},
		{"auth-token", `"auth-token" T2`, "joe", "T1"},
	} {
		o := &config.Options{Connections: []config.Connection{{}}}
		if tt.filter != "" {
			o.PullFilters = []config.PullFilter{{Action: "ignore", Prefix: tt.filter}}
		}
		q := &questions{report: &report{lg: logging.Discard(), port: server.New(server.Config{Unreachable: true})}, opts: o, secrets: &Secrets{}}
		q.secrets.set.Answered("joe", "secret")
		q.secrets.set.Pushed("T1", "")
		q.renewToken(&o.Connections[0], tt.arg)
		if user, token, ok := q.secrets.login(true); user != tt.user || token != tt.token || !ok {
			t.Errorf("filter %q, %s: next login %s/%s, want %s/%s", tt.filter, tt.arg, user, token, tt.user, tt.token)
		}
	}
}
