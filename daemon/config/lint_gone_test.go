package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// gone are the options that releases before 2.8 took out, mean to take out, or only let pass, and names that never were in all builds: check says what
// to do about each. The texts of the stock daemons (2.6.14 and 2.7.8), their help and their notices about each option, name them.
var gone = map[string]string{ // with parameters
	// removed up to 2.7
	"client-cert-not-required": "", "compat-names": "", "ifconfig-pool-linear": "", "inetd": "", "key-method": "2", "keysize": "256", "longlived": "", "mtu-dynamic": "1 2",
	"ncp-disable": "", "no-iv": "", "no-name-remapping": "", "no-replay": "", "opt-verify": "", "tls-remote": "x", "management-client-pf": "", "http-proxy-fallback": "", "auto-proxy": "",
	"pkcs11-id-type": "x", "pkcs11-slot": "x", "pkcs11-slot-type": "x", "pkcs11-sign-mode": "x", "show-pkcs11-slots": "x", "show-pkcs11-objects": "x 1",
	// without effect, or on their way out
	"comp-lzo": "", "compress": "", "disable-occ": "", "ecdh-curve": "x", "engine": "", "http-proxy-retry": "", "http-proxy-timeout": "5", "link-mtu": "1500", "max-routes": "5",
	"ncp-ciphers": "AES-256-GCM", "ns-cert-type": "server", "prng": "none", "secret": "k", "socks-proxy-retry": "", "tcp-nodelay": "", "tun-ipv6": "", "udp-mtu": "1500",
	"verify-hash": "x",
	// of other systems and programs
	"allow-nonadmin": "", "block-outside-dns": "", "cryptoapicert": "x", "dco": "", "dhcp-internal": "", "dhcp-pre-release": "", "dhcp-release": "", "dhcp-renew": "", "ip-win32": "x",
	"msg-channel": "1", "pause-exit": "", "rdns-internal": "", "register-dns": "", "service": "x", "show-adapters": "", "show-net": "", "show-net-up": "", "show-proxy-settings": "",
	"show-valid-subnets": "", "tap-sleep": "1", "win-sys": "env", "windows-driver": "wintun",
}

func TestGoneOptions(t *testing.T) {
	for name, params := range gone {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "c.conf")
			if err := os.WriteFile(file, []byte("client\nremote 127.0.0.1\ndev tun\n"+name+" "+params+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, found := Lint([]string{"--config", file}, Env{})
			found = slices.DeleteFunc(found, func(f Finding) bool { return f.Line != 4 })
			if !slices.ContainsFunc(found, func(f Finding) bool { return tells(f.Text) }) {
				t.Errorf("nothing says what to do: %+v", found)
			}
			deprecated := 0
			for _, f := range found {
				if f.Rule == RuleDeprecated {
					deprecated++
				}
				if f.Rule == RuleUnknown && (f.Option != name || strings.Contains(f.Text, "did you mean")) {
					t.Errorf("%+v", f)
				}
			}
			if deprecated > 1 {
				t.Errorf("told twice: %+v", found)
			}
		})
	}
	for name := range instead {
		if _, ok := gone[name]; !ok {
			t.Errorf("%s has advice that no row tries", name)
		}
	}
}
