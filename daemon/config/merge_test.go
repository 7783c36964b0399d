package config_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/mgmt"
)

// serverFile parses a server's configuration with further lines.
func serverFile(t *testing.T, lines ...string) *config.Options {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server.conf")
	text := "dev tun\nca ca\ncert cert\nkey key\ndh none\n" + strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := config.Parse([]string{"--config", path}, config.Env{SkipFiles: true})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestMerge(t *testing.T) {
	old := serverFile(t, "server 10.8.0.0 255.255.255.0", "keepalive 10 60", "topology subnet", `push "route 10.1.0.0 255.255.0.0"`, "max-clients 5")
	next := serverFile(t, "server 10.9.0.0 255.255.255.0", "keepalive 20 90", "proto tcp-server", `push "route 10.2.0.0 255.255.0.0"`, `push "dhcp-option DNS 10.2.0.1"`)
	restart := map[string]bool{"server": true, "topology": true, "proto": true}
	got, err := config.Merge(old, next, func(name string) bool { return restart[name] })
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"route 10.2.0.0 255.255.0.0", "dhcp-option DNS 10.2.0.1", "route-gateway 10.8.0.1", "topology subnet", "ping 20", "ping-restart 90"}
	if diff := cmp.Diff(want, got.Push); diff != "" {
		t.Errorf("push (-want +got):\n%s", diff)
	}
	if got.IfconfigPool.Start != netip.MustParseAddr("10.8.0.2") || got.Connections[0].Proto != config.ProtoUDP || got.Topology != config.TopologySubnet {
		t.Errorf("kept options: pool %v, %v, topology %v", got.IfconfigPool, got.Connections[0].Proto, got.Topology)
	}
	if got.MaxClients != 1024 || got.Config != next.Config {
		t.Errorf("max-clients %d, config %q", got.MaxClients, got.Config)
	}
	var left []string
	for _, c := range config.Diff(got, next) {
		left = append(left, c.Option)
	}
	if diff := cmp.Diff([]string{"proto", "server", "topology"}, left); diff != "" {
		t.Errorf("what is still different (-want +got):\n%s", diff)
	}
}

// What is kept and what is taken may not go together.
func TestMergeConflict(t *testing.T) {
	old := serverFile(t, "server 10.8.0.0 255.255.255.0")
	next := serverFile(t, "server 10.8.0.0 255.255.255.0", "management x.sock unix", "management-client-auth")
	if _, err := config.Merge(old, next, func(name string) bool { return name == "management" }); err == nil {
		t.Error("management-client-auth without management was accepted")
	}
}

// What a reload does with an option stands in its row.
func TestOnReload(t *testing.T) {
	for option, want := range map[string]mgmt.Outcome{
		"crl-verify": mgmt.OutcomeApplied, "client-connect": mgmt.OutcomeApplied, "verb": mgmt.OutcomeApplied, "inactive": mgmt.OutcomeApplied,
		"management-client-auth": mgmt.OutcomeApplied, "script": mgmt.OutcomeApplied,
		"push": mgmt.OutcomeReconnect, "cipher": mgmt.OutcomeReconnect, "keepalive": mgmt.OutcomeReconnect, "mssfix": mgmt.OutcomeReconnect,
		"port": mgmt.OutcomeRestart, "dev": mgmt.OutcomeRestart, "tls-crypt": mgmt.OutcomeRestart, "management": mgmt.OutcomeRestart,
		"ping-exit": mgmt.OutcomeRestart, "no-such-option": mgmt.OutcomeRestart,
	} {
		if got := config.OnReload(option); got != want {
			t.Errorf("%s: %s, want %s", option, got, want)
		}
	}
}
