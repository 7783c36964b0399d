package config

import (
	stdflag "flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = stdflag.Bool("update-docs", false, "rewrite docs/options.md")

// docs/options.md says of each option how far it works here.
func TestOptionsDocument(t *testing.T) {
	if pkcs11Built {
		t.Skip("the document is about the usual build, without the tag pkcs11")
	}
	const file = "../../docs/options.md"
	var b strings.Builder
	count := make(map[Effect]int)
	for _, d := range Describe() {
		count[d.Effect]++
	}
	fmt.Fprintf(&b, "# Options\n\nGenerated from the option tables (go test ./daemon/config -run OptionsDocument -update-docs). %d options work, %d are accepted without effect, %d are "+
		"refused. `moongate check FILE` tells the same about a file of yours, with line and column.\n\n", count[Works], count[Ignored], count[Refused])
	b.WriteString("**plugin** needs the program `moongate-plugin`; see [plugins.md](plugins.md).\n\n" +
		"Smart cards (`pkcs11-…`) need a build with the tag `pkcs11`; see [decisions/0023](decisions/0023-smart-cards.md).\n\n" +
		"| option | parameters | here | from a server | in client files |\n|---|---|---|---|---|\n")
	yes := map[bool]string{true: "yes", false: ""}
	for _, d := range Describe() {
		n := fmt.Sprint(d.Min)
		switch {
		case d.Max == many:
			n += " or more"
		case d.Max > d.Min:
			n += fmt.Sprintf(" to %d", d.Max)
		}
		here := string(d.Effect)
		if d.Text != "" {
			here += ": " + strings.ReplaceAll(d.Text, "|", "\\|")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", d.Name, n, here, yes[d.Pushed], yes[d.Client])
	}
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(file); err != nil || string(have) != b.String() {
		t.Errorf("%s is not what the tables say (%v)", file, err)
	}
}

// All mistakes and doubts of a file in one run.
func TestLint(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, tt := range []struct{ name, text, want string }{
		{"no TLS", "dev null\nverb 3\n", "0:0 warning deprecated\n"},
		{"several", "client\n  cihper AES-256-GCM\nremote 127.0.0.1\nverb 3 4 5\nmtu-dynamic\nfast-io\n",
			"2:3 error unknown\n4:8 error syntax\n5:1 error syntax\n6:1 warning ignored\n"},
		{"contradiction", "dev tun\nclient\nserver 10.8.0.0 255.255.255.0\n", "3:1 error contradiction\n"},
		{"files", "client\nremote 127.0.0.1\ndev tun\nca /nowhere/ca\ncert /nowhere/c\nkey /nowhere/k\n", "4:4 error file\n5:6 error file\n6:5 error file\n"},
		{"words", "client\nremote 127.0.0.1\ndev tun\nport 99999\nproto upd\n  verb  4  5\ntun-mtu 'x'\n", "4:6 error syntax\n5:7 error syntax\n6:12 error syntax\n7:10 error syntax\n"},
		{"ports", "client\nremote 127.0.0.1 openvpm\nremote 127.0.0.1 openvpn\nremote 127.0.0.1 443 tcp\ndev tun\nlport 0\nrport https\nca /dev/null\nauth-user-pass\n", "2:18 error syntax\n"},
		{"everything at once", "cihper x\nport 99999\nproto upd\ndev tun\nserver 10.8.0.0 255.255.255.0\nshaper 1000\nca /nowhere/ca\nroute-delay 3\nauth-user-pass\n", "1:1 error unknown\n2:6 error syntax\n3:7 error syntax\n6:1 error contradiction\n7:4 error file\n8:1 error contradiction\n9:1 error contradiction\n"},
		{"deprecated", "dev null\nmax-routes 5\n", "2:1 warning deprecated\n0:0 warning deprecated\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, found := Lint([]string{"--config", file(tt.name, tt.text)}, Env{})
			var b, all strings.Builder
			for _, f := range found {
				severity := "error"
				if f.Warning {
					severity = "warning"
				}
				fmt.Fprintf(&all, "%+v\n", f)
				if f.Rule == RuleNotice || f.Warning && f.Rule == RuleInsecure {
					continue // notices of the usual configuration
				}
				fmt.Fprintf(&b, "%d:%d %s %s\n", f.Line, f.Column, severity, f.Rule)
			}
			if b.String() != tt.want {
				t.Errorf("got\n%swant\n%sall:\n%s", b.String(), tt.want, all.String())
			}
		})
	}
	if _, found := Lint([]string{"--config", file("near", "cihper x\n")}, Env{}); len(found) == 0 || !strings.Contains(found[0].Text, "did you mean cipher?") {
		t.Errorf("no suggestion: %+v", found)
	}
}

// Lint finds a mistake if and only if Parse refuses.
func TestLintAgreesWithParse(t *testing.T) {
	for _, args := range [][]string{
		{"--dev", "null"}, {"--dev", "null", "--verb"}, {"--nonsense"}, {"--client"}, {"--client", "--remote", "127.0.0.1", "--dev", "tun"},
		{"--dev", "tun", "--server", "10.8.0.0", "255.255.255.0"}, {"--dev", "null", "--plugin", "x"}, {"x"}, {},
	} {
		_, err := Parse(args, Env{})
		opts, found := Lint(args, Env{})
		if (err == nil) != (opts != nil) {
			t.Errorf("%v: Parse %v, Lint %+v", args, err, found)
		}
	}
}
