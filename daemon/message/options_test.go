package message

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// With opt-verify a client's options string has to be the counterpart of ours, but for what is negotiated.
func TestMismatches(t *testing.T) {
	const ours = "V4,dev-type tun,link-mtu 1541,tun-mtu 1500,proto UDPv4,keydir 0,auth SHA1,keysize 128,tls-auth,key-method 2,tls-server"
	const fits = "V4,dev-type tun,link-mtu 1541,tun-mtu 1500,proto UDPv4,keydir 1,cipher BF-CBC,auth SHA1,keysize 128,tls-auth,key-method 2,tls-client"
	for _, tt := range []struct {
		name, theirs string
		want         []string
	}{
		{"fits", fits, nil},
		{"tells nothing", "V4", nil},
		{"other digest", strings.Replace(fits, "SHA1", "SHA512", 1), []string{"WARNING: 'auth' is used inconsistently, local='auth SHA1', remote='auth SHA512'"}},
		{"more", fits + ",comp-lzo", []string{"WARNING: 'comp-lzo' is present in remote config but missing in local config, remote='comp-lzo'"}},
		{"less", strings.Replace(fits, ",tls-auth", "", 1), []string{"WARNING: 'tls-auth' is present in local config but missing in remote config, local='tls-auth'"}},
		{"same side", strings.Replace(fits, "keydir 1", "keydir 0", 1), []string{"WARNING: 'keydir' is used inconsistently, local='keydir 1', remote='keydir 0'"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, Mismatches(ours, tt.theirs)); d != "" {
				t.Error(d)
			}
		})
	}
}

// Whatever a client says of its options: no panic, no control characters in the log, a line for each entry at most.
func FuzzMismatches(f *testing.F) {
	const ours = "V4,dev-type tun,link-mtu 1541,tun-mtu 1500,proto UDPv4,auth SHA1,keysize 128,key-method 2,tls-server"
	f.Add(ours)
	f.Add("V4,auth SHA\x01512,,, ,auth\n")
	f.Fuzz(func(t *testing.T, theirs string) {
		lines := Mismatches(ours, theirs)
		if most := strings.Count(ours, ",") + strings.Count(theirs, ",") + 2; len(lines) > most {
			t.Errorf("%d lines for %d entries", len(lines), most)
		}
		for _, l := range lines {
			if Remap(l) != l {
				t.Errorf("control characters in %q", l)
			}
		}
	})
}

// The expected strings are what stock sends.
func TestOptionsString(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   Options
		want string
	}{
		{
			"client",
			Options{TunMTU: 1500, Proto: "UDPv4", KeyDir: -1, Auth: "SHA1", Keysize: 128},
			"V4,dev-type tun,link-mtu 1541,tun-mtu 1500,proto UDPv4,auth SHA1,keysize 128,key-method 2,tls-client",
		},
		{
			"tcp server",
			Options{TunMTU: 1500, Proto: "TCPv4_SERVER", KeyDir: -1, Auth: "SHA1", Keysize: 128, Server: true},
			"V4,dev-type tun,link-mtu 1543,tun-mtu 1500,proto TCPv4_SERVER,auth SHA1,keysize 128,key-method 2,tls-server",
		},
		{
			"gcm",
			Options{TunMTU: 1500, Proto: "UDPv4", KeyDir: -1, Cipher: "AES-256-GCM", Auth: "[null-digest]", Keysize: 256},
			"V4,dev-type tun,link-mtu 1549,tun-mtu 1500,proto UDPv4,cipher AES-256-GCM,auth [null-digest],keysize 256,key-method 2,tls-client",
		},
		{
			"cbc, tls-auth",
			Options{TunMTU: 1500, Proto: "UDPv4", KeyDir: 1, TLSAuth: true, Cipher: "AES-256-CBC", Auth: "SHA1", Keysize: 256},
			"V4,dev-type tun,link-mtu 1557,tun-mtu 1500,proto UDPv4,keydir 1,cipher AES-256-CBC,auth SHA1,keysize 256,tls-auth,key-method 2,tls-client",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.in.String(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
