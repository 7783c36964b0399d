package connect

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
)

// What people have in place of a profile is named; profiles in the forms of providers pass.
func TestOtherwise(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "empty",
		"\ufeff \r\n":                            "empty",
		"<!DOCTYPE html>\n<html>":                "page of the web",
		"\n<HTML>":                               "page of the web",
		"{\"server\": 1}":                        "JSON",
		"[Interface]\nPrivateKey = x":            "WireGuard",
		"PK\x03\x04...":                          "ZIP",
		"\x00\x01\x02":                           "no text",
		"\ufeffclient\r\ndev tun\r\n":            "",
		"# Büro\nclient\n":                       "",
		"client\n# B\xfcro, in Latin-1\ndev tun": "",
		"<ca>\n-----BEGIN CERTIFICATE-----":      "",
		"remote vpn.example.com":                 "",
	} {
		file := filepath.Join(t.TempDir(), "x.ovpn")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := otherwise(file); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestMistakesAreBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.ovpn")
	if err := os.WriteFile(file, []byte("client\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	found := []report.Finding{{File: "x", Line: 1, Severity: report.SeverityWarning, Message: "a warning"}, {Severity: report.SeverityError, Message: "--ca fails"}}
	for range 20 {
		found = append(found, report.Finding{File: "x", Line: 2, Severity: report.SeverityError, Message: "unknown option foo", Option: "foo"})
	}
	err := profile(&env.Env{CheckConfig: func([]string) []report.Finding { return found }}, file, nil)
	if err == nil || env.Code(err) != env.CodeUsage {
		t.Fatal(err)
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 1+mostMistakes+3 || lines[1] != "--ca fails" || !strings.HasPrefix(lines[2], "x:2: ") || !strings.Contains(lines[11], "and 11 more") ||
		!strings.HasPrefix(lines[13], "  ignore-unknown-option foo") {
		t.Errorf("%s", err)
	}
}
