package message

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPeerInfoLeavesOutWhatScriptsShouldNotSee(t *testing.T) {
	p := ParsePeerInfo("IV_VER=2.6.14\nIV_PROTO=990\nLD PRELOAD=x\n1X=y\nUV_A=b\x01c\nnoequals\nUV_OK=ä $(reboot)\nUV_LONG=" + strings.Repeat("x", 300) + "\n")
	if d := cmp.Diff([]string{"IV_VER=2.6.14", "IV_PROTO=990", "UV_A=b_c", "UV_OK=_____reboot)"}, p.Lines); d != "" {
		t.Error(d)
	}
	if !p.Has(ProtoTLSKeyExport) || p.Has(ProtoDataEpoch) || p.Get("IV_VER") != "2.6.14" {
		t.Errorf("proto %d", p.Proto)
	}
	if odd := ParsePeerInfo("IV_PROTO=8\n"); odd.Has(ProtoTLSKeyExport) {
		t.Error("a bit counts without P_DATA_V2")
	}
}

func FuzzPeerInfo(f *testing.F) {
	f.Add("IV_VER=2.6.14\nIV_PROTO=990\nIV_CIPHERS=A:B\n")
	f.Fuzz(func(t *testing.T, s string) {
		p := ParsePeerInfo(s)
		if again := ParsePeerInfo(strings.Join(p.Lines, "\n")); !cmp.Equal(p.Lines, again.Lines) {
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
	p := ParsePeerInfo("IV_VER=2.6\nUV_TEAM=a b\nPATH=/evil\nLD_PRELOAD=x\nIV_\x01=2\nIV_A=\x1b[31m\nIV-B=1\n=\n==\nIV_\n\nUV_=1\niv_c=1\n")
	if diff := cmp.Diff([]string{"IV_VER=2.6", "UV_TEAM=a_b", "IV_A=_[31m", "UV_=1"}, p.Lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestPeerInfoOfAPullingClient(t *testing.T) {
	a := Announcement{
		Version: "2.6.14", Platform: "linux", Pull: true, MaxMTU: 1600, Framings: true,
		Ciphers: []string{"AES-256-GCM", "AES-128-GCM", "CHACHA20-POLY1305"},
		Env:     []string{"IV_SSO=webauth,crtext", "UV_site=x", "other=1"},
	}
	want := "IV_VER=2.6.14\nIV_PLAT=linux\nIV_TCPNL=1\nIV_MTU=1600\nIV_NCP=2\n" +
		"IV_CIPHERS=AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305\nIV_PROTO=8158\nIV_LZO_STUB=1\nIV_COMP_STUB=1\nIV_COMP_STUBv2=1\n" +
		"IV_SSO=webauth,crtext\n"
	if got := a.String(); got != want {
		t.Errorf("info =\n%s\nwant\n%s", got, want)
	}
}

func TestPeerInfoOfAPeer(t *testing.T) {
	a := Announcement{Ciphers: []string{"AES-256-GCM", "AES-128-GCM"}}
	if got, want := a.String(), "IV_CIPHERS=AES-256-GCM:AES-128-GCM\nIV_PROTO=1770\n"; got != want {
		t.Errorf("info = %q, want %q", got, want)
	}
}

func TestPeerInfoThatIsPushed(t *testing.T) {
	a := Announcement{
		Version: "2.6.14", Platform: "linux", Pull: true, Ciphers: []string{"AES-256-GCM"}, Push: true, HWAddr: "02:00:00:00:00:01", Library: "a library",
		Release: "6.1.0", Env: []string{"UV_ID=7", "IV_PLAT_VER=14"},
	}
	_, got, _ := strings.Cut(a.String(), "IV_HWADDR=")
	if want := "02:00:00:00:00:01\nIV_SSL=a library\nIV_PLAT_VER=6.1.0\nUV_ID=7\nIV_PLAT_VER=14\n"; got != want {
		t.Errorf("info =\n%s\nwant\n%s", got, want)
	}
}

// What we announce is what our own parser reads.
func TestAnnouncementIsReadBack(t *testing.T) {
	for _, tt := range []struct {
		name     string
		in       Announcement
		has, not Proto
	}{
		{"client", Announcement{Version: "2.6.14", Pull: true, Ciphers: []string{"AES-256-GCM", "AES-128-GCM"}}, ProtoRequestPush, ProtoP2PNegotiation},
		{"peer", Announcement{Ciphers: []string{"AES-256-GCM", "AES-128-GCM"}}, ProtoP2PNegotiation, ProtoRequestPush},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := ParsePeerInfo(tt.in.String())
			list, authoritative := p.Ciphers()
			if !slices.Equal(list, tt.in.Ciphers) || !authoritative || !p.Has(tt.has) || p.Has(tt.not) {
				t.Errorf("%+v", p)
			}
		})
	}
}
