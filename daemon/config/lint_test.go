package config

import (
	stdflag "flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
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
		"The column stock names the releases that have the option, as both stock daemons say when they are asked (2.6.14 and 2.7.8, as Debian builds them).\n\n" +
		"| option | parameters | stock | here | from a server | in client files |\n|---|---|---|---|---|---|\n")
	stock := readStockOptions(t)
	reasons := maps.Clone(otherParameters)
	var differ []string
	yes := map[bool]string{true: "yes", false: ""}
	for _, d := range Describe() {
		n := fmt.Sprint(d.Min)
		switch {
		case d.Max == many:
			n += " or more"
		case d.Max > d.Min:
			n += fmt.Sprintf(" to %d", d.Max)
		}
		s := stock[d.Name]
		delete(stock, d.Name)
		if s.differs(d) {
			differ = append(differ, fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", d.Name, s.old, s.new, n, reasons[d.Name]))
			if reasons[d.Name] == "" {
				t.Errorf("%s takes %s parameters, 2.6 %s and 2.7 %s: mend it, or give the reason", d.Name, n, s.old, s.new)
			}
			delete(reasons, d.Name)
		}
		here := string(d.Effect)
		if why := nothingToDo[d.Name]; why != "" {
			here += ": " + why
		}
		if d.Effect == Ignored && (d.Text == "") == (nothingToDo[d.Name] == "") {
			t.Errorf("%s has no effect: say why, in its row or in nothingToDo", d.Name)
		}
		if d.Text != "" {
			here += ": " + strings.ReplaceAll(d.Text, "|", "\\|")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", d.Name, n, s.releases(), here, yes[d.Pushed], yes[d.Client])
	}
	for name := range stock {
		t.Errorf("stock has an option %s that our tables do not name", name)
	}
	for name := range reasons {
		t.Errorf("the reason about %s is not needed: it takes what stock takes", name)
	}
	writeGivenTwice(&b)
	b.WriteString("\n## Otherwise than stock\n\n")
	for _, d := range otherwise {
		fmt.Fprintf(&b, "- %s\n", d)
	}
	b.WriteString("\n## Parameters without effect\n\nAll of these are accepted.\n\n" +
		"- the second of `route-delay`: stock waits that long for a device of Windows; a device of ours is there when routes are set\n")
	b.WriteString("\n## Other numbers of parameters than stock's\n\n| option | 2.6 | 2.7 | here | why |\n|---|---|---|---|---|\n" + strings.Join(differ, ""))
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(file); err != nil || string(have) != b.String() {
		t.Errorf("%s is not what the tables say (%v)", file, err)
	}
}

// nothingToDo says why options have no effect that the log says nothing about: most ask for what is so anyway.
var nothingToDo = map[string]string{
	"allow-deprecated-insecure-static-crypto": "static keys (`secret`) work without it",
	"bcast-buffers":     "queues grow as they need",
	"comp-noadapt":      "packets are not compressed, so nothing adapts",
	"disable-dco":       "this process carries the packets anyway",
	"fast-io":           "packets are read and written in batches, without a wait for each",
	"hash-size":         "tables grow as they need",
	"memstats":          "see `--metrics` and the management port for figures",
	"persist-local-ip":  "a name in `local` is looked up at each start",
	"push-continuation": "parts of a long reply are put together anyway",
	"route-method":      "it chooses between ways of Windows",
	"tun-ipv6":          "devices carry IPv6 anyway",
}

// otherParameters says why an option takes other numbers of parameters than stock.
var otherParameters = map[string]string{
	"connection":          "the second one of stock is the text of a block, which has a place of its own here",
	"crl-verify":          "the second one is `dir`, and nothing else is taken by either",
	"no-name-remapping":   "it is refused with its reason however it is written",
	"pkcs11-id":           "it is refused with its reason however it is written",
	"pkcs11-pin-cache":    "it is refused with its reason however it is written",
	"pkcs11-private-mode": "it is refused with its reason however it is written",
	"pkcs11-providers":    "it is refused with its reason however it is written",
	"server-bridge":       "one to three are refused, as stock does",
}

// stockOption is how many parameters the two stock daemons take: "-", "1", "0-2", "1+", "0,4". Of an option of ours it is zero.
type stockOption struct{ old, new string }

// readStockOptions reads what TestSoakOptionsOfStock wrote.
func readStockOptions(t *testing.T) map[string]stockOption {
	t.Helper()
	text, err := os.ReadFile("testdata/stock-options.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]stockOption{"daemon": {"0-1", "0-1"}} // which cannot be asked about
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); f[0] != "#" {
			all[f[0]] = stockOption{f[1], f[2]}
		}
	}
	return all
}

// releases names those that have the option.
func (s stockOption) releases() string {
	switch {
	case s == (stockOption{}):
		return "no"
	case s.old == "-":
		return "2.7"
	case s.new == "-":
		return "2.6"
	}
	return "2.6, 2.7"
}

// differs reports whether an option of ours takes what neither release takes.
func (s stockOption) differs(d Described) bool {
	n := fmt.Sprint(d.Min)
	switch {
	case d.Max == many:
		n += "+"
	case d.Max > d.Min:
		n += fmt.Sprintf("-%d", d.Max)
	}
	return s.releases() != "no" && n != s.old && n != s.new
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
		{"lists of ciphers", "client\nremote 127.0.0.1\ndev tun\nca /dev/null\nauth-user-pass\n  data-ciphers \"FOO:AES-256-GCM:?X:BAR\"\n", "6:17 error contradiction\n6:36 error contradiction\n"},
		{"by its old name", "client\nremote 127.0.0.1\ndev tun\nca /dev/null\nauth-user-pass\nncp-ciphers AES-256-GCM:FOO\n", "6:1 warning deprecated\n6:25 error contradiction\n"},
		{"no cipher of a list", "client\nremote 127.0.0.1\ndev tun\nca /dev/null\nauth-user-pass\ndata-ciphers ?FOO\n", "6:14 error contradiction\n"},
		{"a list that is too long", "client\nremote 127.0.0.1\ndev tun\nca /dev/null\nauth-user-pass\ndata-ciphers AES-256-GCM" + strings.Repeat(":AES-256-GCM", 12) + "\n", "6:14 error contradiction\n"},
		{"nothing between colons", "client\nremote 127.0.0.1\ndev tun\nca /dev/null\nauth-user-pass\ndata-ciphers :AES-256-GCM::AES-128-GCM:\n", ""},
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

// writeGivenTwice writes what options mean that are given twice.
func writeGivenTwice(b *strings.Builder) {
	b.WriteString("\n## Options given twice\n\nAn option that is given twice means what it means to stock: mostly the last one counts, on the command line and in files, in the order they are read; " +
		"lists grow, flags stay, the first log file keeps the log, and a profile's own value goes before one outside of blocks. About 400 pairs are compared with both stock daemons (TestGivenTwice). These differ:\n\n" +
		"| a line | and another | why |\n|---|---|---|\n")
	cell := func(s string) string { return "`" + strings.ReplaceAll(s, "\n", " ") + "`" }
	for _, why := range slices.Sorted(maps.Keys(doubledReasons)) {
		if why == unseenByStock {
			continue
		}
		for _, p := range doubledReasons[why] {
			first, second, _ := strings.Cut(p, "|")
			fmt.Fprintf(b, "| %s | %s | %s |\n", cell(first), cell(second), why)
		}
	}
}

// otherwise are differences that were seen beside stock and stay, with their reasons.
var otherwise = []string{
	"`keying-material-exporter`: scripts of a client see `exported_keying_material`, as plugins do; stock's scripts do not",
	"`providers`: default, legacy and base may be named; another one ends the start, as it does with stock where OpenSSL does not have it",
	"`static-challenge` with a file of `auth-user-pass` and `management-query-passwords`: the port is asked for the answer; stock asks the terminal, and ends without one",
	"`auth-user-pass username-only` stays in force when a later line names a file",
	"`local`: two lines that say the same end a server under `compat 2.7`, by an error of the option where stock fails to bind; under `compat 2.6` they are one",
	"`connect-freq-initial` with a zero is refused; stock 2.6 takes it and lets no client in",
	"`reneg-pkts` and `reneg-bytes` of a peer that asks for a renewal right after another are not followed at once: the key in use serves on",
}
