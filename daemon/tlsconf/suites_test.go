package tlsconf_test

import (
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// Cipher lists: which of them stock 2.6.14 starts with, and of which the library has something for TLS 1.2.
func TestCipherLists(t *testing.T) {
	l := newLab(t, pki.ECDSA)
	for _, tt := range []struct {
		list          string
		starts, old12 bool
	}{
		{"TLS_AES_256_GCM_SHA384", false, false},
		{"TLS-AES-256-GCM-SHA384", false, false},
		{"TLS_AES_256_GCM_SHA384:ECDHE-RSA-AES256-GCM-SHA384", true, true},
		{"FOO", false, false},
		{"FOO:ECDHE-RSA-AES256-GCM-SHA384", true, true},
		{"TLS-DHE-RSA-WITH-AES-256-CBC-SHA", true, false},
		{"DHE-RSA-AES256-SHA", true, false},
		{"ECDHE-RSA-AES256-SHA384", true, false},
		{"EDH+aRSA+HIGH:@STRENGTH", true, false},
		{"TLSv1.2:!aNULL", true, true},
		{"kRSA", true, true},
		{"TLS-SRP-SHA-RSA-WITH-3DES-EDE-CBC-SHA:TLS-DHE-RSA-WITH-AES-128-CBC-SHA", true, false},
		{"DEFAULT", true, true},
		{"DEFAULT:!EXP:!LOW:!MEDIUM", true, true},
		{"DEFAULT:!EXP:!PSK:!SRP:!kRSA", true, true},
		{"HIGH", true, true},
		{"ALL", true, true},
		{"!aNULL", false, false},
		{"-ECDHE", false, false},
		{"aNULL", true, false},
		{"eNULL", true, false},
		{"LOW", false, false},
		{"EXP", false, false},
		{"NULL", true, false},
		{"RC4", false, false},
		{"3DES", false, false},
		{"DES-CBC3-SHA", false, false},
		{"RC4-SHA", false, false},
		{"CAMELLIA256", true, false},
		{"ARIAGCM", true, false},
		{"CHACHA20", true, true},
		{"AESGCM", true, true},
		{"AES256", true, true},
		{"SHA384", true, false},
		{"@SECLEVEL=0", false, false},
		{"DEFAULT:@SECLEVEL=0", true, true},
		{"@STRENGTH", false, false},
		{"@SECLEVEL=9", false, false},
		{"@FOO", false, false},
		{"DEFAULT:@FOO", false, false},
		{"ecdhe-rsa-aes256-gcm-sha384", false, false},
		{"ECDHE-ECDSA-AES256-CCM8", true, false},
		{"PSK", true, false},
		{"PSK-AES256-GCM-SHA384", true, false},
		{"SUITEB128", true, true},
		{"SUITEB192", true, true},
		{"kEDH", true, false},
		{"DH", true, false},
		{"ADH", true, false},
		{"AECDH", true, false},
		{"ECDHE+AES:!AESGCM", true, true},
		{"ECDH+AESGCM:DH+AESGCM", true, true},
		{"ECDHE-RSA-AES128-GCM-SHA256:!ECDHE", false, false},
		{"TLS-RSA-WITH-AES-256-CBC-SHA256", true, false},
		{"FIPS", true, true},
		{"COMPLEMENTOFDEFAULT", true, false},
		{"COMPLEMENTOFALL", true, false},
		{"IDEA", false, false},
		{"SEED", false, false},
		{"MD5", true, false},
		{"DSS", true, false},
		{"aECDSA", true, true},
		{"aRSA", true, true},
		{"SSLv3", true, true},
		{"TLSv1", true, true},
		{"TLSv1.0", true, true},
		{"TLSv1.3", false, false},
		{"GOST", false, false},
		{"ECDHE,AESGCM", true, true},
		{"ECDHE AESGCM", true, true},
		{"+HIGH", false, false},
		{"HIGH:+AES256", true, true},
	} {
		t.Run(tt.list, func(t *testing.T) {
			o := tlsconf.Options{CA: l.ca.PEM, Ciphers: tt.list}
			c, err := tlsconf.Build(o)
			if (err == nil) != tt.starts {
				t.Fatalf("Build: %v, stock starts: %v", err, tt.starts)
			}
			if err != nil {
				if !strings.HasPrefix(err.Error(), "Failed to set restricted TLS cipher list: "+tt.list) {
					t.Error(err)
				}
				return
			}
			cfg := c.TLS(tlsconf.Hooks{})
			if got := cfg.MinVersion < tls.VersionTLS13; got != tt.old12 {
				t.Errorf("offers TLS 1.2: %v, want %v (%v)", got, tt.old12, c.Notes())
			}
			if tt.old12 == strings.Contains(strings.Join(c.Notes(), "\n"), "WARNING") {
				t.Errorf("notes %v", c.Notes())
			}
			o.VersionMax = "1.2"
			if _, err := tlsconf.Build(o); (err == nil) != tt.old12 {
				t.Errorf("with TLS 1.2 alone: %v", err)
			}
		})
	}
}

// What is left of a list decides which suite TLS 1.2 takes.
func TestCipherListChoice(t *testing.T) {
	l := newLab(t, pki.RSA)
	server := build(t, tlsconf.Options{Server: true, CA: l.ca.PEM, Cert: l.server.CertPEM, Key: l.server.KeyPEM, Ciphers: "ALL:kRSA:AES"})
	for list, want := range map[string]string{
		"AESGCM+AES256":                "ECDHE-RSA-AES256-GCM-SHA384",
		"HIGH:!AESGCM":                 "ECDHE-RSA-CHACHA20-POLY1305",
		"ECDHE:-ECDHE:ECDHE+AES128":    "ECDHE-RSA-AES128-GCM-SHA256",
		"ECDHE:!ECDHE:kRSA+AESGCM":     "AES128-GCM-SHA256",
		"kRSA:!AESGCM:!SHA256:!AES128": "AES256-SHA",
		"TLS-RSA-WITH-AES-128-CBC-SHA": "AES128-SHA",
		"DEFAULT:!AES:@SECLEVEL=0":     "ECDHE-RSA-CHACHA20-POLY1305",
	} {
		client := build(t, tlsconf.Options{CA: l.ca.PEM, Cert: l.client.CertPEM, Key: l.client.KeyPEM, Ciphers: list, VersionMax: "1.2"})
		cs, _, err := shake(t, client, server)
		if err != nil {
			t.Errorf("%s: %v", list, err)
			continue
		}
		if got := tlsconf.SuiteName(cs.CipherSuite); got != want {
			t.Errorf("%s: %s, want %s", list, got, want)
		}
	}
}
