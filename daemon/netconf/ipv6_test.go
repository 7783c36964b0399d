package netconf

import (
	"os"
	"path/filepath"
	"testing"
)

func TestIPv6Disabled(t *testing.T) {
	for name, tt := range map[string]struct {
		make string // below net, with its content
		text string
		want bool
	}{
		"on":                {"ipv6/conf/tun0/disable_ipv6", "0\n", false},
		"off":               {"ipv6/conf/tun0/disable_ipv6", "1\n", true},
		"another device":    {"ipv6/conf/eth0/disable_ipv6", "1\n", false},
		"not in the kernel": {"core/somaxconn", "4096\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			net := filepath.Join(t.TempDir(), "net")
			path := filepath.Join(net, tt.make)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := ipv6Disabled(filepath.Join(net, "ipv6"), "tun0"); got != tt.want {
				t.Errorf("disabled %v, want %v", got, tt.want)
			}
		})
	}
	if ipv6Disabled(filepath.Join(t.TempDir(), "no/net/ipv6"), "tun0") {
		t.Error("disabled where the system does not tell")
	}
}
