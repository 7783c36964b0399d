//go:build linux

package test

import (
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/wire"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// clients is how many clients a status report lists.
func clients(t *testing.T, m *client.Client) int {
	t.Helper()
	r, err := m.Cmd(t.Context(), "status 2")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, line := range r.Raw {
		if strings.HasPrefix(line, "CLIENT_LIST,") {
			n++
		}
	}
	return n
}

// hostileLab is a server with a stock client that is connected and watched, and a management client.
func hostileLab(t *testing.T, extra ...string) (*lab, *daemontest.Process, *client.Client, *daemontest.Namespace) {
	t.Helper()
	l := newLab(t)
	sock := l.file("mgmt.sock")
	s := l.ourServer(t, append([]string{"--management", sock, "unix", "--duplicate-cn", "--hand-window", "4", "--verb", "3"}, extra...)...)
	m := manage(t, sock)
	n, server := l.host(t)
	l.stockClientOn(t, n, server)
	return l, s, m, n
}

// A flood of resets from forged addresses leaves no state, little noise, and everybody else in peace.
func TestServerInAFlood(t *testing.T) {
	t.Parallel()
	l, s, m, bystander := hostileLab(t)
	// Any source in 10.77.0.0/16 is the attacker's.
	l.client.Run(t, "ip", "route", "add", "local", "10.77.0.0/16", "dev", "lo")
	l.server.Run(t, "ip", "route", "add", "10.77.0.0/16", "via", "10.99.0.2")
	_, before := used(t, s.PID())
	cpu, _ := used(t, s.PID())
	lines := s.Lines()
	flooded := make(chan error, 1)
	const packets = 20000
	go func() {
		var err error
		l.client.Do(t, func() error { err = flood("10.99.0.1:1194", packets); return nil })
		flooded <- err
	}()
	ping(t, bystander, "10.8.0.1", 200, 2, "0.01")
	if err := <-flooded; err != nil {
		t.Fatal(err)
	}
	cpuAfter, after := used(t, s.PID())
	t.Logf("%d packets of strangers cost %v of processor time and %d KiB", packets, cpuAfter-cpu, (after-before)>>10)
	if grown := after - before; grown > 16<<20 {
		t.Errorf("the server grew by %d bytes", grown)
	}
	if cpuAfter-cpu > 2*time.Second {
		t.Errorf("%d packets of strangers cost %v of processor time", packets, cpuAfter-cpu)
	}
	if n := clients(t, m); n != 1 {
		t.Errorf("%d clients in the report, want the bystander alone", n)
	}
	if n := s.Lines() - lines; n > 200 {
		t.Errorf("%d lines in the log", n)
	}
	terminate(t, s)
}

// flood sends resets, mangled and not, echoes of made-up cookies, soft resets and data, from many addresses.
func flood(server string, packets int) error {
	r := rand.New(rand.NewPCG(1, 2))
	for sent := 0; sent < packets; {
		conn, err := dialFrom(fmt.Sprintf("10.77.%d.%d:%d", r.IntN(256), 1+r.IntN(254), 1024+r.IntN(60000)), server)
		if err != nil {
			continue // the address is taken
		}
		for range 50 {
			_, _ = conn.Write(stranger(r)) // refused, perhaps
			sent++
		}
		conn.Close()
		time.Sleep(2 * time.Millisecond) // beyond that the kernel drops packets of everybody
	}
	return nil
}

// stranger is a packet that somebody without keys can make.
func stranger(r *rand.Rand) []byte {
	var sid, cookie wire.SessionID
	for i := range sid {
		sid[i], cookie[i] = byte(r.Uint32()), byte(r.Uint32())
	}
	pkt := func(op wire.Opcode, keyID uint8, b wire.ControlBody) []byte {
		return b.Append(append([]byte{wire.Header(op, keyID)}, sid[:]...), op)
	}
	switch r.IntN(6) {
	case 0:
		return pkt(wire.OpControlV1, 0, wire.ControlBody{Acks: []uint32{0}, PeerSession: cookie, MsgID: 1, Payload: make([]byte, r.IntN(1000))})
	case 1:
		return pkt(wire.OpControlSoftResetV1, uint8(r.IntN(8)), wire.ControlBody{Acks: []uint32{0}, PeerSession: cookie})
	case 2: // somebody's peer-id
		return append([]byte{wire.Header(wire.OpDataV2, uint8(r.IntN(8))), 0, 0, byte(r.IntN(3))}, make([]byte, 20+r.IntN(1200))...)
	case 3:
		b := make([]byte, r.IntN(1400))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	default:
		return pkt(wire.OpControlHardResetClientV2, 0, wire.ControlBody{})
	}
}

// deafen opens a session and sends what the first flight makes due: the answer to the reset goes in, nothing after it.
func (l *lab) deafen(conn *net.UDPConn) error {
	p, err := l.newPuppet(conn, "V4", usual)
	if err != nil {
		return err
	}
	defer p.session.Close()
	p.session.Step(time.Now())
	p.drain()
	buf := make([]byte, 2048)
	_ = conn.SetReadDeadline(time.Now().Add(upLimit))
	size, err := conn.Read(buf)
	if err != nil {
		return err
	}
	if err := p.session.Input(buf[:size], time.Now()); err != nil {
		return err
	}
	p.deaf = true
	_ = p.play(100*time.Millisecond, func() bool { return false })
	return nil
}

// Clients that return the cookie and then acknowledge nothing are gone when their time is over.
func TestServerWithDeafClients(t *testing.T) {
	t.Parallel()
	l, s, m, bystander := hostileLab(t)
	const n = 50
	var conns []*net.UDPConn
	for range n {
		conns = append(conns, openUDP(t, l.client, "", "10.99.0.1:1194"))
	}
	var deaf sync.WaitGroup // all at once: the first must not be gone before the last has come
	for _, conn := range conns {
		deaf.Go(func() {
			if err := l.deafen(conn); err != nil {
				t.Error(err)
			}
		})
	}
	deaf.Wait()
	if got := clients(t, m); got < n/2 {
		t.Fatalf("%d clients in the report, the deaf ones are missing", got)
	}
	ping(t, bystander, "10.8.0.1", 50, 0, "0.01")
	await(t, "only the bystander is left", 15*time.Second, func() bool { return clients(t, m) == 1 })
	ping(t, bystander, "10.8.0.1", 20, 0, "0.01")
	terminate(t, s)
}

// Texts of any size and content in the key message and after it: no crash, and the next client is served.
func TestServerWithOddClients(t *testing.T) {
	t.Parallel()
	l, s, _, bystander := hostileLab(t)
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, tt := range []struct {
		name, options, info, user, pass string
		texts                           []string
	}{
		{name: "options", options: "V4," + long(1500), info: usual},
		{name: "peer info", options: "V4", info: usual + "IV_X=" + long(1200)},
		{name: "many lines", options: "V4", info: usual + strings.Repeat("A=1\n", 300)},
		{name: "hostile lines", options: "V4", info: usual + "PATH=/evil\nLD_PRELOAD=x\nIV_\x01=2\n=\n\n\n==\nUV_A=\x1b[31m\n"},
		{name: "no peer info"},
		{name: "numbers", options: "V4", info: "IV_PROTO=-1\nIV_NCP=99999999999999999999\nIV_CIPHERS=:::\n"},
		{name: "no cipher in common", options: "V4", info: "IV_PROTO=990\nIV_CIPHERS=RC4\n"},
		{name: "credentials", options: "V4", info: usual, user: long(700), pass: long(700)},
		{name: "texts", options: "V4", info: usual, texts: []string{"PUSH_REQUEST", long(1500), "CR_RESPONSE,\x01\x02", "EXIT now", "PUSH_REPLY,route 0.0.0.0", "AUTH_FAILED", "\xff\xfe", ""}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := l.newPuppet(openUDP(t, l.client, "", "10.99.0.1:1194"), tt.options, tt.info)
			if err != nil {
				t.Fatal(err)
			}
			defer p.session.Close()
			p.user, p.pass = tt.user, tt.pass
			for _, text := range tt.texts {
				_ = p.session.SendText(text) // our side may refuse what is too long
			}
			_ = p.play(1500*time.Millisecond, func() bool { return p.told("PUSH_REPLY") || p.told("AUTH_FAILED") || p.failed != nil })
			t.Logf("texts %q, %v", p.texts, p.failed)
		})
	}
	ping(t, bystander, "10.8.0.1", 10, 0, "0.01")
	for line := range strings.SplitSeq(s.Log(), "\n") {
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' }) {
			t.Errorf("control characters in the log: %q", line)
		}
	}
	terminate(t, s)
}

// Replayed and changed packets of a live session change nothing.
func TestServerWithReplays(t *testing.T) {
	t.Parallel()
	l, s, m, bystander := hostileLab(t)
	conn := openUDP(t, l.client, "", "10.99.0.1:1194")
	p, err := l.newPuppet(conn, "V4", usual)
	if err != nil {
		t.Fatal(err)
	}
	defer p.session.Close()
	if err := p.play(upLimit, func() bool { return p.told("PUSH_REPLY") }); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	own := p.session.Own()
	for k := range 3000 {
		b := stranger(r)
		if k%2 == 0 && len(b) > 9 {
			copy(b[1:9], own[:]) // of the session, as far as one can see
		}
		_, _ = conn.Write(b)
		if k%100 == 0 {
			time.Sleep(5 * time.Millisecond)
		}
	}
	if n := clients(t, m); n > 3 {
		t.Errorf("%d clients in the report", n)
	}
	if err := p.session.SendText("PUSH_REQUEST"); err != nil {
		t.Fatal(err)
	}
	ping(t, bystander, "10.8.0.1", 20, 0, "0.01")
	terminate(t, s)
}

// Certificates of the lab's own authority with subjects nobody should issue: each is let in or refused, and nothing else
// comes of it. Log lines stay whole and few, scripts see names in their variables and arguments only, and client files come
// from their folder.
func TestServerWithOddCertificates(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for _, dir := range []string{"ccd", "ccd/a", "seen"} {
		if err := os.Mkdir(l.file(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	l.write(t, "ccd/DEFAULT", []byte("push \"dhcp-option DOMAIN default\"\n"))
	for _, name := range []string{"outside", "ccd/a/b"} { // what a path in a name would find
		l.write(t, name, []byte("push \"dhcp-option DOMAIN escaped\"\n"))
	}
	dump := l.script(t, "dump.sh", `f=`+l.file("seen")+`/$script_type.$$
for a in "$@"; do printf '%s\0' "arg=$a"; done >$f
/usr/bin/env -0 >>$f`)
	sock := l.file("mgmt.sock")
	s := l.ourServer(t, "--management", sock, "unix", "--duplicate-cn", "--hand-window", "30", "--client-config-dir", l.file("ccd"), "--script-security", "2",
		"--client-connect", dump, "--client-disconnect", dump, "--learn-address", dump, "--tls-verify", dump)
	m := manage(t, sock)
	n, server := l.host(t)
	l.stockClientOn(t, n, server)
	ldap := asn1.ObjectIdentifier{1, 2, 3, 4, 5}
	cn := func(value string) []pki.Attribute { return []pki.Attribute{{OID: pki.CommonName, Value: value}} }
	many := cn("many")
	for k := range 59 {
		many = append(many, pki.Attribute{OID: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: fmt.Sprintf("unit %d", k)})
	}
	for _, tt := range []struct {
		name    string
		subject []pki.Attribute
		cn      string // as scripts see it
		// Without cn a client is refused unless it is let in nameless.
		nameless bool
	}{
		{name: "new line", subject: cn("x\n2026-01-01 00:00:00 FORGED\r\n>CLIENT:FORGED"), cn: "x_2026-01-01 00:00:00 FORGED__>CLIENT:FORGED"},
		{name: "shell", subject: cn("$(touch pwned)`touch pwned`;'\"|&<>*?\\"), cn: "$(touch pwned)`touch pwned`;'\"|&<>*?\\"},
		{name: "escape sequences", subject: cn("\x1b[2J\x07\x7f"), cn: "_[2J__"},
		{name: "NUL", subject: cn("client1\x00evil"), cn: "client1_evil"}, // to the stock server it is client1
		{name: "UTF-8", subject: cn("Zoë Ünï 漢"), cn: "Zoë Ünï 漢"},
		{name: "invalid UTF-8", subject: cn("a\xff\xfeb")},
		{name: "invalid in a teletex string", subject: []pki.Attribute{{OID: pki.CommonName, Tag: asn1.TagT61String, Value: "a\xff\xfeb"}}, cn: "aÿþb"},
		{name: "64 bytes", subject: cn(strings.Repeat("x", 64)), cn: strings.Repeat("x", 64)},
		{name: "65 bytes", subject: cn(strings.Repeat("x", 65))},
		{name: "4096 bytes", subject: cn(strings.Repeat("x", 4096))},
		{name: "empty subject"},
		{name: "empty name", subject: cn(""), nameless: true},
		{name: "no common name", subject: []pki.Attribute{{OID: ldap, Value: "x"}}},
		{name: "60 parts", subject: many, cn: "many"},
		{name: "odd types", subject: []pki.Attribute{{OID: ldap, Tag: asn1.TagBitString, Value: "\x00x"}, {OID: pki.CommonName, Value: "types"}, {OID: ldap, Tag: asn1.TagBMPString, Value: "odd"}}},
		{name: "two dots", subject: cn(".."), cn: ".."},
		{name: "DEFAULT", subject: cn("DEFAULT"), cn: "DEFAULT"},
		{name: "path", subject: cn("a/b"), cn: "a/b"},
		{name: "path outside", subject: cn("../outside"), cn: "../outside"},
		{name: "variables", subject: []pki.Attribute{{OID: pki.CommonName, Value: "x=y\tPATH=/evil"}, {OID: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "LD_PRELOAD=/evil"}}, cn: "x=y_PATH=/evil"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			der, err := pki.Subject(tt.subject...)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := l.ca.Issue(pki.Spec{Subject: der})
			if err != nil {
				t.Fatal(err)
			}
			for _, old := range leftovers(t, l.file("seen"), "") {
				_ = os.Remove(l.file("seen/" + old))
			}
			lines := s.Lines()
			block, _ := pem.Decode(leaf.CertPEM)
			p, err := newPuppet(openUDP(t, l.client, "", "10.99.0.1:1194"), tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: leaf.Key}, "V4", usual)
			if err != nil {
				t.Fatal(err)
			}
			defer p.session.Close()
			err = p.play(upLimit, func() bool { return p.told("PUSH_REPLY") || p.told("AUTH_FAILED") || p.failed != nil })
			if let, want := p.told("PUSH_REPLY"), tt.cn != "" || tt.nameless; let != want || err != nil {
				t.Errorf("let in: %v, %v; want %v", let, err, want)
			}
			if p.told("PUSH_REPLY") && !strings.Contains(strings.Join(p.texts, ""), "dhcp-option DOMAIN default") {
				t.Errorf("it was told %q, not the default file's option", p.texts)
			}
			for _, name := range leftovers(t, l.file("seen"), "") {
				for v := range strings.SplitSeq(fileText(l.file("seen/"+name)), "\x00") {
					key, value, _ := strings.Cut(v, "=")
					switch {
					case key == "common_name" && strings.HasPrefix(name, "client-connect") && value != tt.cn:
						t.Errorf("%s saw common name %q, want %q", name, value, tt.cn)
					case key == "LD_PRELOAD", key == "PATH" && value != "/usr/bin:/bin":
						t.Errorf("%s was given %s=%s", name, key, value)
					case len(value) > 8192:
						t.Errorf("%s was given %d bytes of %s", name, len(value), key)
					case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' }):
						t.Errorf("%s was given control characters: %q", name, v)
					}
				}
			}
			after := strings.Split(s.Log(), "\n")[lines:]
			if len(after) > 60 { // some may be the last of the client before
				t.Errorf("%d lines in the log", len(after))
			}
			size := 0
			for _, line := range after {
				size += len(line)
				if !logLine.MatchString(line) || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.HasPrefix(line[20:], "FORGED") {
					t.Errorf("the log holds %q", line)
				}
			}
			if size > 32<<10 {
				t.Errorf("%d bytes in the log", size)
			}
			t.Logf("texts %q, %v, %d lines, %d bytes in the log", p.texts, p.failed, len(after), size)
			_ = p.session.SendText("EXIT")
			_ = p.play(100*time.Millisecond, func() bool { return false })

			good, err := l.newPuppet(openUDP(t, l.client, "", "10.99.0.1:1194"), "V4", usual)
			if err != nil {
				t.Fatal(err)
			}
			defer good.session.Close()
			if err := good.play(upLimit, func() bool { return good.told("PUSH_REPLY") }); err != nil {
				t.Errorf("the next client: %v", err)
			}
		})
	}
	ping(t, n, "10.8.0.1", 20, 0, "0.01")
	if list := leftovers(t, l.dir, "pwned"); len(list) > 0 {
		t.Error("a name was executed")
	}
	for _, name := range []string{"FORGED", "escaped"} {
		r, err := m.Cmd(t.Context(), "status 2")
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range r.Raw {
			if strings.HasPrefix(line, name) || strings.HasPrefix(line, ">CLIENT") {
				t.Errorf("the report holds %q", line)
			}
		}
	}
	terminate(t, s)
}

// logLine is the beginning of every line of a log.
var logLine = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d `)

// User names and passwords of any content and the size a message may have: a script sees them cleaned and whole, or the
// client is refused. Larger ones and NUL: TestOddKeyMessages in daemon/control.
func TestServerWithOddLogins(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	verify := l.script(t, "verify.sh", `cat "$1" >`+l.file("seen")+`; exit 0`)
	s := l.ourServer(t, "--script-security", "2", "--auth-user-pass-verify", verify, "via-file", "--hand-window", "30", "--duplicate-cn", "--username-as-common-name")
	n, server := l.host(t)
	bystander := stock(t, n, l.clientArgs("--remote", server, "1194", "--auth-user-pass", l.login(t, "good", "pass")))
	bystander.WaitLine(t, up, upLimit)
	for _, tt := range []struct {
		name, user, pass string
		seen             string // by the script, "" when it does not run
		in               bool
	}{
		{name: "good", user: "u", pass: "p", seen: "u\np\n", in: true},
		{name: "new lines", user: "u\n2026-01-01 00:00:00 FORGED", pass: "p\r\nroot", seen: "u_2026-01-01 00:00:00 FORGED\np__root\n", in: true},
		{name: "64 bytes", user: strings.Repeat("u", 64), pass: "p", seen: strings.Repeat("u", 64) + "\np\n", in: true},
		{name: "too long for a common name", user: strings.Repeat("u", 65), pass: "p", seen: strings.Repeat("u", 65) + "\np\n"},
		{name: "long name", user: strings.Repeat("u", 1500), pass: "p", seen: strings.Repeat("u", 1500) + "\np\n"},
		{name: "long password", user: "u", pass: strings.Repeat("p", 1500), seen: "u\n" + strings.Repeat("p", 1500) + "\n", in: true},
		{name: "path", user: "../../etc/passwd", pass: "p", seen: "../../etc/passwd\np\n", in: true},
		{name: "invalid UTF-8", user: "u\xff", pass: "\xfe", seen: "u\xff\n\xfe\n", in: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_ = os.Remove(l.file("seen"))
			lines := s.Lines()
			p, err := l.newPuppet(openUDP(t, l.client, "", "10.99.0.1:1194"), "V4", usual)
			if err != nil {
				t.Fatal(err)
			}
			defer p.session.Close()
			p.user, p.pass = tt.user, tt.pass
			_ = p.play(upLimit, func() bool { return p.told("PUSH_REPLY") || p.told("AUTH_FAILED") || p.failed != nil })
			t.Logf("texts %q, %v", p.texts, p.failed)
			if p.told("PUSH_REPLY") != tt.in {
				t.Errorf("let in: %v, want %v", p.told("PUSH_REPLY"), tt.in)
			}
			if got := fileText(l.file("seen")); got != tt.seen {
				t.Errorf("the script saw %d bytes %.80q, want %.80q", len(got), got, tt.seen)
			}
			size := 0
			for _, line := range strings.Split(s.Log(), "\n")[lines:] {
				size += len(line)
				if !logLine.MatchString(line) || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.HasPrefix(line[20:], "FORGED") {
					t.Errorf("the log holds %q", line)
				}
			}
			if size > 32<<10 {
				t.Errorf("%d bytes in the log", size)
			}
		})
	}
	ping(t, n, "10.8.0.1", 20, 0, "0.01")
	terminate(t, s)
}
