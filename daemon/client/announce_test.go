package client

import "testing"

func TestPeerInfoOfAPullingClient(t *testing.T) {
	a := announcement{
		Version: "2.6.14", Platform: "linux", Pull: true, MaxMTU: 1600, Framings: true,
		Ciphers: []string{"AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305"},
		Env:     []string{"IV_SSO=webauth,crtext", "UV_site=x", "other=1"},
	}
	want := "IV_VER=2.6.14\nIV_PLAT=linux\nIV_TCPNL=1\nIV_MTU=1600\nIV_NCP=2\n" +
		"IV_CIPHERS=AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305\nIV_PROTO=5086\nIV_LZO_STUB=1\nIV_COMP_STUB=1\nIV_COMP_STUBv2=1\n" +
		"IV_SSO=webauth,crtext\n"
	if got := a.info(); got != want {
		t.Errorf("info =\n%s\nwant\n%s", got, want)
	}
}

func TestPeerInfoOfAPeer(t *testing.T) {
	a := announcement{Ciphers: []string{"AES-256-GCM", "AES-128-GCM"}}
	if got, want := a.info(), "IV_CIPHERS=AES-256-GCM:AES-128-GCM\nIV_PROTO=746\n"; got != want {
		t.Errorf("info = %q, want %q", got, want)
	}
}

// The expected strings are what stock sends.
func TestOptionsString(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   occ
		want string
	}{
		{"client", occ{TunMTU: 1500, Proto: "UDPv4", KeyDir: -1, Auth: "SHA1", Keysize: 128},
			"V4,dev-type tun,link-mtu 1541,tun-mtu 1500,proto UDPv4,auth SHA1,keysize 128,key-method 2,tls-client"},
		{"tcp server", occ{TunMTU: 1500, Proto: "TCPv4_SERVER", KeyDir: -1, Auth: "SHA1", Keysize: 128, Server: true},
			"V4,dev-type tun,link-mtu 1543,tun-mtu 1500,proto TCPv4_SERVER,auth SHA1,keysize 128,key-method 2,tls-server"},
		{"gcm", occ{TunMTU: 1500, Proto: "UDPv4", KeyDir: -1, Cipher: "AES-256-GCM", ShowCipher: true, Auth: "[null-digest]", Keysize: 256},
			"V4,dev-type tun,link-mtu 1549,tun-mtu 1500,proto UDPv4,cipher AES-256-GCM,auth [null-digest],keysize 256,key-method 2,tls-client"},
		{"cbc, tls-auth", occ{TunMTU: 1500, Proto: "UDPv4", KeyDir: 1, TLSAuth: true, Cipher: "AES-256-CBC", ShowCipher: true, Auth: "SHA1", Keysize: 256},
			"V4,dev-type tun,link-mtu 1557,tun-mtu 1500,proto UDPv4,keydir 1,cipher AES-256-CBC,auth SHA1,keysize 256,tls-auth,key-method 2,tls-client"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.in.String(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
