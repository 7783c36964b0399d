package server

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChooseCipher(t *testing.T) {
	gcm := []string{"AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305"}
	tests := []struct {
		name, info, occ string
		ours            []string
		fallback, want  string
	}{
		{"2.6 client", "IV_NCP=2\nIV_CIPHERS=AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305\n", "", gcm, "", "AES-256-GCM"},
		{"server's order", "IV_CIPHERS=AES-256-GCM:CHACHA20-POLY1305\n", "", []string{"CHACHA20-POLY1305", "AES-256-GCM"}, "", "CHACHA20-POLY1305"},
		{"2.4 client", "IV_NCP=2\n", "V4,cipher BF-CBC,auth SHA1", gcm, "", "AES-256-GCM"},
		{"by options string", "", "V4,dev-type tun,cipher aes-256-cbc,auth SHA1", []string{"AES-256-GCM", "AES-256-CBC"}, "", "AES-256-CBC"},
		{"list is authoritative", "IV_CIPHERS=AES-128-GCM\n", "V4,cipher AES-256-CBC", []string{"AES-256-CBC"}, "AES-256-CBC", ""},
		{"fallback", "", "V4,dev-type tun", gcm, "AES-256-CBC", "AES-256-CBC"},
		{"fallback not for those who tell", "", "V4,cipher BF-CBC", gcm, "AES-256-CBC", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := parsePeerInfo(tt.info)
			got, err := chooseCipher(tt.ours, &p, tt.occ, tt.fallback)
			if got != tt.want || (tt.want == "") != errors.Is(err, errNoSharedCipher) {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestPeerInfoLeavesOutWhatScriptsShouldNotSee(t *testing.T) {
	p := parsePeerInfo("IV_VER=2.6.14\nIV_PROTO=990\nLD PRELOAD=x\n1X=y\nUV_A=b\x01c\nnoequals\nUV_OK=ä $(reboot)\nUV_LONG=" + strings.Repeat("x", 300) + "\n")
	if d := cmp.Diff([]string{"IV_VER=2.6.14", "IV_PROTO=990", "UV_A=b_c", "UV_OK=_____reboot)"}, p.Lines); d != "" {
		t.Error(d)
	}
	if !p.Has(protoTLSKeyExp) || p.Has(protoDataEpoch) || p.Get("IV_VER") != "2.6.14" {
		t.Errorf("proto %d", p.Proto)
	}
	if odd := parsePeerInfo("IV_PROTO=8\n"); odd.Has(protoTLSKeyExp) {
		t.Error("a bit counts without P_DATA_V2")
	}
}

func TestPushReply(t *testing.T) {
	short, err := pushReply([]string{"route-gateway 10.8.0.1", "ping 10"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"PUSH_REPLY,route-gateway 10.8.0.1,ping 10"}, short); d != "" {
		t.Error(d)
	}
	if none, _ := pushReply(nil); len(none) != 1 || none[0] != "PUSH_REPLY" {
		t.Errorf("empty list: %q", none)
	}
	if _, err := pushReply([]string{strings.Repeat("x", 256)}); !errors.Is(err, errPushTooLong) {
		t.Errorf("overlong option: %v", err)
	}
	var many []string
	for i := range 80 {
		many = append(many, fmt.Sprintf("route 10.%d.0.0 255.255.0.0", i))
	}
	messages, err := pushReply(many)
	if err != nil {
		t.Fatal(err)
	}
	var joined []string
	for i, m := range messages {
		if len(m) > 1023 {
			t.Errorf("message %d has %d bytes", i, len(m))
		}
		options := strings.Split(m, ",")
		last := options[len(options)-1]
		want := "push-continuation 2"
		if i == len(messages)-1 {
			want = "push-continuation 1"
		}
		if options[0] != "PUSH_REPLY" || last != want {
			t.Errorf("message %d: %q … %q", i, options[0], last)
		}
		joined = append(joined, options[1:len(options)-1]...)
	}
	if d := cmp.Diff(many, joined); d != "" {
		t.Error(d)
	}
	if len(messages) != 3 {
		t.Errorf("%d messages, stock sends 3", len(messages))
	}
}

func FuzzPeerInfo(f *testing.F) {
	f.Add("IV_VER=2.6.14\nIV_PROTO=990\nIV_CIPHERS=A:B\n")
	f.Fuzz(func(t *testing.T, s string) {
		p := parsePeerInfo(s)
		if again := parsePeerInfo(strings.Join(p.Lines, "\n")); !cmp.Equal(p.Lines, again.Lines) {
			t.Fatalf("%q became %q", p.Lines, again.Lines)
		}
		for _, l := range p.Lines {
			if strings.ContainsAny(l, "\x00\r\n") {
				t.Fatalf("%q", l)
			}
		}
	})
}

// What a client tells about itself reaches scripts as variables: it must not choose any others.
func TestPeerInfoNames(t *testing.T) {
	p := parsePeerInfo("IV_VER=2.6\nUV_TEAM=a b\nPATH=/evil\nLD_PRELOAD=x\nIV_\x01=2\nIV_A=\x1b[31m\nIV-B=1\n=\n==\nIV_\n\nUV_=1\niv_c=1\n")
	if diff := cmp.Diff([]string{"IV_VER=2.6", "UV_TEAM=a_b", "IV_A=_[31m", "UV_=1"}, p.Lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

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
			if d := cmp.Diff(tt.want, mismatches(ours, tt.theirs)); d != "" {
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
		lines := mismatches(ours, theirs)
		if most := strings.Count(ours, ",") + strings.Count(theirs, ",") + 2; len(lines) > most {
			t.Errorf("%d lines for %d entries", len(lines), most)
		}
		for _, l := range lines {
			if remap(l) != l {
				t.Errorf("control characters in %q", l)
			}
		}
	})
}
