package config

import "testing"

// The numbers are the MTU that 2.6.14 gave its device under link-mtu 1400.
func TestLinkMTU(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want int
	}{
		{nil, 1375},
		{[]string{"--proto", "tcp-server"}, 1373},
		{[]string{"--auth", "SHA512"}, 1331},
		{[]string{"--auth", "none"}, 1395},
		{[]string{"--cipher", "AES-256-CBC"}, 1347},
		{[]string{"--data-ciphers-fallback", "AES-256-CBC"}, 1347},
		{[]string{"--data-ciphers", "AES-256-CBC"}, 1375},
		{[]string{"--cipher", "AES-256-CBC", "--auth", "SHA512"}, 1303},
		{[]string{"--cipher", "AES-256-CBC", "--auth", "none"}, 1367},
		{[]string{"--cipher", "AES-192-CBC", "--auth", "MD5"}, 1351},
		{[]string{"--cipher", "AES-256-GCM"}, 1351},
		{[]string{"--cipher", "AES-256-GCM", "--auth", "SHA512"}, 1351},
		{[]string{"--cipher", "AES-128-GCM", "--proto", "tcp-server"}, 1349},
		{[]string{"--cipher", "CHACHA20-POLY1305"}, 1366},
		{[]string{"--cipher", "AES-256-CFB"}, 1339},
		{[]string{"--cipher", "AES-256-OFB", "--auth", "SHA512"}, 1295},
		{[]string{"--comp-lzo", "no"}, 1375},
		{[]string{"--fragment", "1300"}, 1375},
	} {
		args := append([]string{"--server", "10.8.0.0", "255.255.255.0", "--dev", "tun", "--ca", "a", "--cert", "c", "--key", "k", "--dh", "none", "--link-mtu", "1400"}, tt.args...)
		o, err := Parse(args, Env{SkipFiles: true})
		if err != nil {
			t.Errorf("%v: %v", tt.args, err)
			continue
		}
		if got := o.Connections[0].TunMTU; got != tt.want {
			t.Errorf("%v: %d, want %d", tt.args, got, tt.want)
		}
	}
	for _, args := range [][]string{{"--link-mtu", "80"}, {"--link-mtu", "1400", "--tun-mtu", "1300"}} {
		if _, err := Parse(append([]string{"--client", "--remote", "127.0.0.1", "--dev", "tun", "--ca", "a", "--cert", "c", "--key", "k"}, args...), Env{SkipFiles: true}); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
