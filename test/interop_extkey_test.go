//go:build linux

package test

import (
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// opensslSign signs with the openssl command as the holder of an external key does, going by the request alone: its
// algorithm text, or for versions of the interface without one the text it stands for.
func opensslSign(t *testing.T, keyFile, algorithm string, data []byte) []byte {
	t.Helper()
	args := []string{"pkeyutl", "-sign", "-inkey", keyFile}
	words := strings.Split(algorithm, ",")
	hash := "sha256"
	message := words[0] == "ED25519"
	for _, w := range words[1:] {
		if h, ok := strings.CutPrefix(w, "hashalg="); ok {
			hash = strings.ToLower(h)
		}
		message = message || w == "data=message"
	}
	if message {
		args = append(args, "-rawin")
		if words[0] != "ED25519" {
			args = append(args, "-digest", hash)
		}
	}
	switch words[0] {
	case "RSA_PKCS1_PSS_PADDING":
		args = append(args, "-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest")
		if !message {
			args = append(args, "-pkeyopt", "digest:"+hash)
		}
	case "RSA_PKCS1_PADDING":
		args = append(args, "-pkeyopt", "rsa_padding_mode:pkcs1")
	case "RSA_NO_PADDING":
		args[1] = "-decrypt" // the same operation, which pkeyutl -sign refuses to do on a whole block
		args = append(args, "-pkeyopt", "rsa_padding_mode:none")
	case "ECDSA", "ED25519":
	default:
		t.Fatalf("unknown algorithm %q", algorithm)
	}
	in := t.TempDir() + "/data"
	if err := os.WriteFile(in, data, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("openssl", append(args, "-in", in)...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return out
}

// keyHolder is the management client that has the key.
type keyHolder struct {
	m     *client.Client
	file  string
	plain string // algorithm of requests that name none
	spoil bool   // signatures are wrong
}

// sign answers one request.
func (h *keyHolder) sign(t *testing.T, n client.Notification) {
	t.Helper()
	text, algorithm, named := strings.Cut(n.Text, ",")
	if !named {
		algorithm = h.plain
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	sig := opensslSign(t, h.file, algorithm, data)
	if h.spoil {
		sig[len(sig)-1] ^= 1
	}
	word := "pk-sig"
	if n.Kind == mgmt.KindRSASign {
		word = "rsa-sig"
	}
	// Lines of 64 characters, as the openssl command prints them.
	var lines []string
	for b := base64.StdEncoding.EncodeToString(sig); b != ""; {
		k := min(len(b), 64)
		lines, b = append(lines, b[:k]), b[k:]
	}
	if _, err := h.m.Block(t.Context(), word, lines); err != nil {
		t.Fatal(err)
	}
}

// extCase is an external key of one kind behind flags.
type extCase struct {
	name    string
	kind    pki.KeyKind
	flags   []string
	version int    // announced by the management client
	tls     string // the server's highest version, empty for 1.3
	plain   string // what a request without an algorithm means
	want    string // the request, without its data: kind and algorithm
	bytes   int    // of data, 0 for "a message"
	tls12   bool   // no TLS 1.3 although the server has it
	noStock bool   // stock with OpenSSL 3 cannot do it
}

// Every form of request, signed by the openssl command; the stock client asks the same where it can.
func TestExternalKey(t *testing.T) {
	t.Parallel()
	const pss = "RSA_PKCS1_PSS_PADDING,hashalg=SHA256,saltlen=digest"
	for _, tt := range []extCase{
		{name: "ecdsa", version: 3, want: "PK_SIGN:ECDSA", bytes: 32},
		{name: "ecdsa, tls 1.2", version: 3, tls: "1.2", want: "PK_SIGN:ECDSA", bytes: 32},
		{name: "ecdsa, version 2", version: 2, plain: "ECDSA", want: "PK_SIGN", bytes: 32},
		{name: "ecdsa, version 1", version: 1, plain: "ECDSA", want: "RSA_SIGN", bytes: 32},
		{name: "ecdsa, digest", version: 3, flags: []string{"digest"}, want: "PK_SIGN:ECDSA,hashalg=SHA256,data=message"},
		{name: "ed25519", kind: pki.Ed25519, version: 3, want: "PK_SIGN:ED25519", noStock: true},
		{name: "rsa, pss", kind: pki.RSA, version: 3, flags: []string{"pss"}, want: "PK_SIGN:" + pss, bytes: 32},
		{name: "rsa, pss, tls 1.2", kind: pki.RSA, version: 3, tls: "1.2", flags: []string{"pss"}, want: "PK_SIGN:" + pss, bytes: 32},
		{name: "rsa, pss, digest", kind: pki.RSA, version: 3, flags: []string{"pss", "digest"}, want: "PK_SIGN:" + pss + ",data=message"},
		{name: "rsa, pkcs1 and pss", kind: pki.RSA, version: 3, flags: []string{"pkcs1", "pss"}, want: "PK_SIGN:" + pss, bytes: 32},
		{name: "rsa, pkcs1, tls 1.2", kind: pki.RSA, version: 3, tls: "1.2", flags: []string{"pkcs1"}, want: "PK_SIGN:RSA_PKCS1_PADDING", bytes: 51, noStock: true},
		{name: "rsa, pkcs1", kind: pki.RSA, version: 3, flags: []string{"pkcs1"}, want: "PK_SIGN:RSA_PKCS1_PADDING", bytes: 51, tls12: true, noStock: true},
		{name: "rsa, pkcs1, digest", kind: pki.RSA, version: 3, flags: []string{"pkcs1", "digest"}, want: "PK_SIGN:RSA_PKCS1_PADDING,hashalg=SHA256,data=message", tls12: true, noStock: true},
		{name: "rsa, no flag, version 2", kind: pki.RSA, version: 2, plain: "RSA_PKCS1_PADDING", want: "PK_SIGN", bytes: 51, tls12: true, noStock: true},
		{name: "rsa, no flag, version 1", kind: pki.RSA, version: 1, plain: "RSA_PKCS1_PADDING", want: "RSA_SIGN", bytes: 51, tls12: true, noStock: true},
		{name: "rsa, nopadding", kind: pki.RSA, version: 3, flags: []string{"nopadding"}, want: "PK_SIGN:RSA_NO_PADDING", bytes: 256, noStock: true},
		{name: "rsa, nopadding, tls 1.2", kind: pki.RSA, version: 3, tls: "1.2", flags: []string{"nopadding"}, want: "PK_SIGN:RSA_NO_PADDING", bytes: 256, noStock: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.issue(t, "held", pki.Spec{Name: "client1", Key: tt.kind})
			var limit []string
			if tt.tls != "" {
				limit = []string{"--tls-version-max", tt.tls}
			}
			l.stockServer(t, limit...)
			got := tt.run(t, l, "ours.sock", ours)
			if tt.noStock {
				return
			}
			if diff := cmp.Diff(tt.run(t, l, "stock.sock", stock), got); diff != "" {
				t.Errorf("notifications (-stock +ours):\n%s", diff)
			}
		})
	}
}

// run connects a client whose certificate and key are with the management client, and returns the notifications.
func (tt *extCase) run(
	t *testing.T, l *lab, sock string, start starter,
) []string {
	t.Helper()
	c, m := l.holdKey(t, sock, start, tt.flags)
	h := &keyHolder{m: m, file: l.file("held.key"), plain: tt.plain}
	sub := m.Subscribe(mgmt.KindState, mgmt.KindNeedCertificate, mgmt.KindPKSign, mgmt.KindRSASign)
	if _, err := m.Cmd(t.Context(), fmt.Sprintf("version %d", tt.version)); err != nil {
		t.Fatal(err)
	}
	do(t, m, "state", "on")
	do(t, m, "hold", "off")
	do(t, m, "hold", "release")
	var seen []string
	for {
		n, err := notified(t, sub)
		if err != nil {
			t.Fatal(err)
		}
		switch n.Kind {
		case mgmt.KindNeedCertificate:
			seen = append(seen, n.Kind+":"+n.Text)
			l.sendCertificate(t, m)
		case mgmt.KindState:
			_, state, _ := strings.Cut(n.Text, ",")
			if strings.HasPrefix(state, mgmt.StateGetConfig+",") {
				continue
			}
			seen = append(seen, "STATE:"+state)
		default:
			data, algorithm, named := strings.Cut(n.Text, ",")
			form := n.Kind
			if named {
				form += ":" + algorithm
			}
			if form != tt.want {
				t.Errorf("asked for %s, want %s", form, tt.want)
			}
			if raw, _ := base64.StdEncoding.DecodeString(data); tt.bytes != 0 && len(raw) != tt.bytes || tt.bytes == 0 && len(raw) < 100 {
				t.Errorf("%d bytes to sign, want %d", len(raw), tt.bytes)
			}
			seen = append(seen, form)
			h.sign(t, n)
		}
		if strings.HasPrefix(seen[len(seen)-1], "STATE:"+mgmt.StateConnected+",") {
			break
		}
	}
	ping(t, l.client, "10.8.0.1", 3, 1, "0.1")
	want := "TLSv1.3"
	if tt.tls != "" || tt.tls12 {
		want = "TLSv1.2"
	}
	c.WaitLine(t, "Control Channel: "+want, upLimit)
	terminate(t, c)
	return seen
}

// holdKey starts a client without certificate and key, on hold, and attaches to its management port.
func (l *lab) holdKey(
	t *testing.T, sock string, start starter, flags []string, extra ...string,
) (*daemontest.Process, *client.Client) {
	t.Helper()
	args := []string{
		"--client", "--dev", "tun", "--verb", "3", "--remote-cert-tls", "server", "--ca", l.file("ca.crt"), "--remote", "10.99.0.1", "1194",
		"--nobind", "--management", l.file(sock), "unix", "--management-hold", "--management-external-cert", "key store",
		"--management-external-key",
	}
	c := start(t, l.client, append(append(args, flags...), extra...))
	return c, manage(t, l.file(sock))
}

// sendCertificate answers >NEED-CERTIFICATE.
func (l *lab) sendCertificate(t *testing.T, m *client.Client) {
	t.Helper()
	pem, err := os.ReadFile(l.file("held.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Block(t.Context(), "certificate", strings.Split(strings.TrimSpace(string(pem)), "\n")); err != nil {
		t.Fatal(err)
	}
}

// A wrong signature costs the attempt with the reason tls-error, and the next attempt asks again; a signal at the request
// ends the attempt; a holder that leaves in the middle of an answer finds the request again, and may answer it.
func TestExternalKeyGoesWrong(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.issue(t, "held", pki.Spec{Name: "client1"})
	l.stockServer(t)
	c, m := l.holdKey(t, "mgmt.sock", ours, nil, "--persist-key", "--hand-window", "6")
	sub := m.Subscribe(mgmt.KindState, mgmt.KindNeedCertificate, mgmt.KindPKSign)
	h := &keyHolder{m: m, file: l.file("held.key"), spoil: true}
	// wait skips to a notification and returns it.
	wait := func(sub *client.Subscription, pattern string) client.Notification {
		t.Helper()
		re := regexp.MustCompile(pattern)
		for {
			n, err := notified(t, sub)
			if err != nil {
				t.Fatalf("waiting for %s: %v", pattern, err)
			}
			if re.MatchString(n.Kind + ":" + n.Text) {
				return n
			}
		}
	}
	for _, cmd := range []string{"version 3", "state on", "hold off", "hold release"} {
		if _, err := m.Cmd(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
	}
	wait(sub, `^NEED-CERTIFICATE:key store$`)
	l.sendCertificate(t, m)

	h.sign(t, wait(sub, `^PK_SIGN:`))
	wait(sub, `^STATE:\d+,RECONNECTING,tls-error,`)

	first := wait(sub, `^PK_SIGN:`)
	do(t, m, "signal", "SIGUSR1")
	wait(sub, `^STATE:\d+,RECONNECTING,(tls-error|SIGUSR1),`)

	second := wait(sub, `^PK_SIGN:`)
	if first.Text == second.Text {
		t.Error("the request of a new attempt is the old one")
	}
	raw, err := net.Dial("unix", l.file("mgmt.sock"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Write([]byte("pk-sig\nAAAA\n")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond)
	raw.Close()
	m.Close() // nobody is left

	h.m, h.spoil = manage(t, l.file("mgmt.sock")), false
	sub = h.m.Subscribe(mgmt.KindState, mgmt.KindPKSign)
	if again := wait(sub, `^PK_SIGN:`); again.Text != strings.Split(second.Text, ",")[0] && again.Text != second.Text {
		t.Errorf("the request changed from %q to %q", second.Text, again.Text)
	} else {
		h.plain = "ECDSA"
		h.sign(t, again)
	}
	c.WaitLine(t, up, upLimit)
	ping(t, l.client, "10.8.0.1", 3, 1, "0.1")
	terminate(t, c)
}

// Renewals ask for signatures too, while the tunnel goes on.
func TestExternalKeyRenews(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.issue(t, "held", pki.Spec{Name: "client1", Key: pki.RSA})
	l.stockServer(t, "--reneg-sec", "3")
	c, m := l.holdKey(t, "mgmt.sock", ours, []string{"pss"})
	sub := m.Subscribe(mgmt.KindNeedCertificate, mgmt.KindPKSign)
	h := &keyHolder{m: m, file: l.file("held.key")}
	for _, cmd := range []string{"version 3", "hold off", "hold release"} {
		if _, err := m.Cmd(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
	}
	for asked := 0; asked < 3; {
		n, err := notified(t, sub)
		if err != nil {
			t.Fatal(err)
		}
		if n.Kind == mgmt.KindNeedCertificate {
			l.sendCertificate(t, m)
			continue
		}
		if asked++; asked > 1 {
			ping(t, l.client, "10.8.0.1", 5, 0, "0.1") // with the request open
		}
		h.sign(t, n)
	}
	ping(t, l.client, "10.8.0.1", 5, 0, "0.1")
	if strings.Contains(c.Log(), "RECONNECTING") {
		t.Error("the client reconnected")
	}
	terminate(t, c)
}
