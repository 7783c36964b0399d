package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/wire"
)

// TestStock plays the dialogues that have a "! stock" line on the stock daemon: it must say what our files say.
func TestStock(t *testing.T) {
	openvpn, err := exec.LookPath("openvpn")
	if err != nil {
		t.Skip("the stock openvpn is not installed")
	}
	if testing.Short() {
		t.Skip("plays in real time")
	}
	certs := t.TempDir()
	writeCertificate(t, certs)
	for path, d := range dialogues(t) {
		if d.Stock() == "" {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			p := startStock(t, openvpn, certs, d.Stock())
			got, err := mgmttest.Play(d, p)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(spoken(d), spoken(got)); diff != "" {
				t.Errorf("stock says something else (-ours +stock):\n%s", diff)
			}
		})
	}
}

// spoken keeps what crossed the port. Filler text of the test command is everyone's own.
func spoken(d mgmttest.Dialogue) []string {
	var out []string
	for _, s := range d {
		if strings.HasPrefix(s.Text, "[") && s.Op == mgmttest.Receive {
			s.Text, _, _ = strings.Cut(s.Text, " ")
		}
		if s.Op == mgmttest.Send || s.Op == mgmttest.Receive {
			out = append(out, s.String())
		}
	}
	return out
}

// stock is a stock daemon as a Port. Directives are not for it: it does by itself what they make the scripted one do.
type stock struct {
	t    testing.TB
	path string
	mu   sync.Mutex // guards all below
	ends map[int]net.Conn
	got  []mgmttest.Step
	last time.Time
	wg   sync.WaitGroup
}

// startStock runs openvpn with a small client configuration and more options, words "name=value". A password=TEXT is
// for the port.
func startStock(t *testing.T, openvpn, certs, options string) *stock {
	t.Helper()
	s := &stock{t: t, path: filepath.Join(t.TempDir(), "sock"), ends: make(map[int]net.Conn)}
	args := []string{
		"--client", "--dev", "null", "--ca", certs + "/cert.pem", "--cert", certs + "/cert.pem",
		"--connect-retry", "1", "2",
	}
	if !strings.Contains(options, "key=") {
		args = append(args, "--key", certs+"/key.pem")
	}
	if !strings.Contains(options, "remote=") {
		args = append(args, "--remote", "127.0.0.1", "1")
	}
	management := []string{"--management", s.path, "unix"}
	for _, o := range strings.Fields(options) {
		name, value, has := strings.Cut(o, "=")
		if name == "password" {
			file := filepath.Join(t.TempDir(), "password")
			if err := os.WriteFile(file, []byte(value+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			management = append(management, file)
			continue
		}
		args = append(args, "--"+name)
		if has {
			args = append(args, strings.Split(strings.ReplaceAll(value, "CERTS", certs), "|")...)
		}
	}
	cmd := exec.CommandContext(t.Context(), openvpn, append(management, args...)...)
	log := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, c := range s.ends {
			c.Close()
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		s.wg.Wait()
		if t.Failed() {
			t.Logf("openvpn said:\n%s", log)
		}
	})
	return s
}

func (s *stock) Attach(seat int) {
	var conn net.Conn
	var err error
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if conn, err = net.Dial("unix", s.path); err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.ends[seat] = conn
	s.mu.Unlock()
	s.wg.Go(func() {
		var out wire.Output
		buf := make([]byte, 4096)
		for ask := true; ; {
			n, err := conn.Read(buf)
			out.Feed(buf[:n], ask, func(line string, _ bool) {
				ask = ask && !strings.HasPrefix(line, ">INFO:")
				s.add(seat, line)
			})
			if err != nil {
				s.add(seat, "<closed>")
				return
			}
		}
	})
}

func (s *stock) add(seat int, line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, mgmttest.Step{Op: mgmttest.Receive, Seat: seat, Text: line})
	s.last = time.Now()
}

func (s *stock) Detach(seat int) { s.ends[seat].Close() }

func (s *stock) Send(seat int, line string) { fmt.Fprintf(s.ends[seat], "%s\n", line) }

func (s *stock) Do(string) error { return nil }

// Settle waits until the lines of the file came, and a moment for lines it does not have.
func (s *stock) Settle(want int) []mgmttest.Step {
	deadline := time.Now().Add(6 * time.Second)
	for {
		s.mu.Lock()
		if len(s.got) >= want && time.Since(s.last) > 20*time.Millisecond || time.Now().After(deadline) {
			got := s.got
			s.got = nil
			s.last = time.Now()
			s.mu.Unlock()
			slices.SortStableFunc(got, func(a, b mgmttest.Step) int { return a.Seat - b.Seat })
			return got
		}
		s.mu.Unlock()
		time.Sleep(2 * time.Millisecond)
	}
}

// writeCertificate writes cert.pem and key.pem.
func writeCertificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true, DNSNames: []string{"test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("cert.pem", "CERTIFICATE", cert)
	write("key.pem", "PRIVATE KEY", der)
}
