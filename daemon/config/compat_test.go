package config

import (
	"slices"
	"testing"
)

// Each release fills in what a configuration leaves out: 2.7 takes a tun device, and gives the clients of a server one subnet.
func TestDefaultsOfEachRelease(t *testing.T) {
	const server, client = "server 10.8.0.0 255.255.255.0\ndh none\nca x\ncert x\nkey x\n", "client\nremote a\nca x\ncert x\nkey x\n"
	for _, tt := range []struct {
		name, text string
		dev        string
		topology   Topology
		refused    string
	}{
		{"server", "dev tun\n" + server, "tun", TopologyNet30, ""},
		{"server of 2.7", "compat 2.7\ndev tun\n" + server, "tun", TopologySubnet, ""},
		{"server of 2.7, said last", "dev tun\n" + server + "compat 2.7\n", "tun", TopologySubnet, ""},
		{"server of 2.7 with a topology", "compat 2.7\ndev tun\ntopology net30\n" + server, "tun", TopologyNet30, ""},
		{"server of 2.7 on tap", "compat 2.7\ndev tap\n" + server, "tap", TopologyNet30, ""},
		{"mode server of 2.7", "compat 2.7\nmode server\ntls-server\nifconfig 10.8.0.1 255.255.255.0\ndh none\nca x\ncert x\nkey x\n", "tun", TopologySubnet, ""},
		{"client of 2.7", "compat 2.7\n" + client, "tun", TopologyNet30, ""},
		{"client without a device", client, "", "", "Options error: You must define TUN/TAP device (--dev)"},
		{"server without a device", server, "", "", "Options error: --server directive only makes sense with --dev tun or --dev tap"},
		{"server of 2.7 on no device", "compat 2.7\ndev null\n" + server, "null", TopologySubnet, ""},
		{"server of 2.7 without a device", server + "compat 2.7\n", "tun", TopologySubnet, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, err := parse(t, tt.text)
			if tt.refused != "" {
				if err == nil || err.Error() != tt.refused {
					t.Fatalf("%v", err)
				}
				return
			}
			if err != nil || o.Dev != tt.dev || o.Topology != tt.topology {
				t.Errorf("dev %q, topology %q, %v", o.Dev, o.Topology, err)
			}
		})
	}
}

// Only 2.6 makes capitals of a field's name: uid and UID are two attributes.
func TestFieldsOfNamesAsWritten(t *testing.T) {
	for text, want := range map[string][]string{
		"x509-username-field uid\n":                             {"UID"},
		"x509-username-field uid CN|o ext:subjectAltName\n":     {"UID", "CN|O", "ext:subjectAltName"},
		"x509-username-field uid\ncompat 2.7\n":                 {"uid"},
		"compat 2.7\nx509-username-field uid|CN serialNumber\n": {"uid|CN", "serialNumber"},
	} {
		if o := mustParse(t, minimal+"remote a\n"+text); !slices.Equal(o.X509UsernameFields, want) {
			t.Errorf("%q: %q, want %q", text, o.X509UsernameFields, want)
		}
	}
}

// With none of the first packets answered nobody could connect.
func TestNoFirstPacketIsAnswered(t *testing.T) {
	for _, text := range []string{"0 10", "10 0", "00 5", "0 0"} {
		if _, err := parse(t, minimal+"remote a\nconnect-freq-initial "+text+"\n"); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// A cipher that a server pushes is none of the client's own choice: it does not become what the client falls back on.
func TestPushedCipherIsNoFallback(t *testing.T) {
	o := mustParse(t, minimal+"remote a\ndata-ciphers-fallback AES-256-CBC\n").Clone()
	if _, err := o.ApplyPushed(&o.Connections[0], []string{"cipher AES-128-CBC"}); err != nil || o.DataCiphersFallback != "AES-256-CBC" {
		t.Errorf("falls back on %q, %v", o.DataCiphersFallback, err)
	}
}
