//go:build !nofleet

package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	fleetpki "github.com/moongate-vpn/moongate/daemon/fleet/pki"
)

// What all nodes have is written, read and taken away by commands, each with its exit code and its reason.
func TestFleetConfigCommands(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	a, b := filepath.Join(base, "a"), filepath.Join(base, "b")
	authority, err := pki.NewCA("ca")
	if err != nil {
		t.Fatal(err)
	}
	issue := func(name string) *pki.Leaf {
		t.Helper()
		l, err := authority.Issue(pki.Spec{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	joe, ann := issue("joe"), issue("ann")
	serial := joe.Cert.SerialNumber.String()
	files := map[string][]byte{
		"joe.conf": []byte("# joe\npush \"route 10.1.0.0 255.255.0.0\"\n"), "bad.conf": []byte("\niroute 10.2.0.0\nbad line\n"), "empty": nil, "end.conf": []byte("x\nEND\ny\n"),
		"joe.crt": append([]byte("Certificate:\n    Data: text\n"), joe.CertPEM...), "joe.der": joe.Cert.Raw, "two.pem": slices.Concat(joe.CertPEM, ann.CertPEM, authority.PEM),
		"joe.ovpn": slices.Concat([]byte("client\n<ca>\n"), authority.PEM, []byte("</ca>\n<cert>\n"), joe.CertPEM, []byte("</cert>\n")), "ca.crt": authority.PEM, "text": []byte("nothing\n"),
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(base, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := func(args string, in string, code int, texts ...string) string {
		t.Helper()
		got, out, errs := inFleet(t, a, in, strings.Split(strings.ReplaceAll(args, "@", base+"/"), " ")...)
		if got != code {
			t.Errorf("%s: exit code %d, and not %d\n%s%s", args, got, code, out, errs)
		}
		for _, text := range texts {
			if !strings.Contains(out+errs, text) {
				t.Errorf("%s: no %q in\n%s%s", args, text, out, errs)
			}
		}
		return out
	}
	want("fleet ccd list", "", 1, "fleet init")
	first, err := fleetpki.Init(a, fleetpki.Plan{Name: "a", Address: daemontest.FreeAddress(t, 2), Listen: "127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want("fleet ccd list", "", 3, "fleet://a")
	node, d := runNodeOf(t, a, "joe")

	want("fleet ccd list", "", 0)
	want("fleet ccd get joe", "", 6, `no file for "joe"`)
	want("fleet ccd put joe @joe.conf", "", 0, "file at all nodes")
	want("fleet ccd put DEFAULT", "push x\r\n\n# y\n", 0)
	want("fleet ccd put joe @bad.conf", "", 1, "bad.conf: line 3: it is bad")
	want("fleet ccd put joe -", "bad\n", 1, "standard input: line 1: it is bad")
	want("fleet ccd put joe @none", "", 1, "no such file")
	want("fleet ccd put joe @empty", "", 2, "no lines")
	want("fleet ccd put joe @end.conf", "", 2, "line 2: END")
	want("fleet ccd put", "", 2, "usage: moongate fleet ccd put NAME [FILE]")
	if got := want("fleet ccd get joe", "", 0); got != string(files["joe.conf"]) {
		t.Errorf("the file is %q", got)
	}
	if got := want("fleet ccd get DEFAULT", "", 0); got != "push x\n\n# y\n" {
		t.Errorf("the file is %q", got)
	}
	want("fleet config get", "", 6, "no lines for every client")
	want("fleet config set", "push \"route 10.20.0.0 255.255.0.0\"\n", 0)
	want("fleet config get", "", 0, "10.20.0.0")
	if got := want("fleet ccd list", "", 0); got != "DEFAULT\njoe\n" {
		t.Errorf("the names are %q", got)
	}

	for _, c := range []struct {
		arg  string
		code int
		text string
	}{
		{"@joe.crt", 0, ""}, {"@joe.der", 0, ""}, {"@joe.ovpn", 0, ""}, {serial, 0, ""}, {fmt.Sprintf("0x%X", joe.Cert.SerialNumber), 0, ""},
		{"@two.pem", 1, "2 clients, with the serial numbers " + serial + ", " + ann.Cert.SerialNumber.String()}, {"@ca.crt", 1, "no certificate of a client"}, {"@text", 1, "text: "}, {"@none", 1, "a serial number is"}, {"1F", 1, "a serial number is"},
	} {
		want("fleet revoke --reason lost "+c.arg, "", c.code, c.text)
		if c.code == 0 {
			want("fleet config list", "", 0, "revoked")
			want("fleet unrevoke "+c.arg, "", 0)
			want("fleet unrevoke "+c.arg, "", 1, "no such revocation")
		}
	}
	want("fleet revoke serial=1F", "", 0)
	want("fleet ban --user joe --reason left", "", 0, "ban at all nodes")
	want("fleet ban", "", 2, "user", "cn")
	want("fleet ban --user a --cn b", "", 2)
	want("fleet ban --user=", "", 2, "--user NAME")
	want("fleet kill --cn laptop", "", 0)
	want("fleet config list", "", 0, "(every client)", "DEFAULT", "0x1F", "user joe", "left")
	want("fleet config list --json", "", 0, `"schema":"moongate.fleet-config/1"`, `"serial":"0x1F"`)
	want("fleet config nonsense", "", 2, "unknown command")
	for args, completed := range map[string]string{
		"fleet ccd get": "joe\n", "fleet ccd rm": "joe\n", "fleet ccd put": "joe\n", "fleet unrevoke": "0x1F\n", "fleet unban --user": "joe\n", "fleet": "unban\tLet",
	} {
		var out, errs bytes.Buffer
		world := &env.Env{In: strings.NewReader(""), Out: &out, Err: &errs, Getenv: func(name string) string { return map[string]string{"MOONGATE_FLEET": a}[name] }}
		if Run(t.Context(), world, "test", append(strings.Fields("__complete "+args), "")); !strings.Contains(out.String(), completed) {
			t.Errorf("%s: no %q in the completions\n%s%s", args, completed, &out, &errs)
		}
	}

	if err := d.Do("fleet-away"); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"fleet ccd put joe @joe.conf", "fleet revoke 5", "fleet ban --cn x", "fleet kill --user joe"} {
		want(args, "", 3, "at this node; the others follow", "other nodes do not have it yet")
	}
	want("fleet ccd rm joe", "", 3)
	want("fleet ccd rm joe", "", 1, "no such file")
	want("fleet config rm", "", 3)
	want("fleet unban --user joe", "", 3)

	token, err := first.Invite(time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fleetpki.Join(t.Context(), b, token, fleetpki.Plan{Name: "b", Address: daemontest.FreeAddress(t, 2), Listen: "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	other := runNode(t, b, "ann")
	for end := time.Now().Add(15 * time.Second); len(node.Others()) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the first node does not know the second")
		}
	}
	node.Close()
	want("fleet ccd put ann @joe.conf", "", 0) // by the other node
	want("fleet ccd list", "", 0, "ann")
	other.Close()
	want("fleet ccd list", "", 3, "fleet://a", "fleet://b")
}
