package pki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/keys"
)

// door is a node that admits others. Its clock is ahead by skew.
type door struct {
	node *Node
	addr string
	skew time.Duration

	mu       sync.Mutex
	admitted []string
}

func newDoor(t *testing.T) *door {
	t.Helper()
	d := new(door)
	var err error
	dir := filepath.Join(t.TempDir(), "fleet")
	if d.node, err = Init(dir, Plan{Name: "a", Address: "127.0.0.1"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	conf, err := d.node.TLS(nil)
	if err != nil {
		t.Fatal(err)
	}
	conf.ClientAuth = tls.VerifyClientCertIfGiven
	mux := http.NewServeMux()
	mux.Handle(JoinPath, &Admission{
		Node: d.node, Now: func() time.Time { return time.Now().Add(d.skew) },
		Check: func(name string) error {
			if name == "taken" {
				return errors.New("the fleet has a node taken")
			}
			return nil
		},
		Admit: func(name string) (json.RawMessage, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.admitted = append(d.admitted, name)
			return json.RawMessage(`[{"name":"a"}]`), nil
		},
	})
	srv := httptest.NewUnstartedServer(mux)
	srv.TLS = conf
	srv.StartTLS()
	t.Cleanup(srv.Close)
	d.addr = srv.Listener.Addr().String()
	return d
}

func (d *door) invite(t *testing.T) Token {
	t.Helper()
	token, err := d.node.Invite(time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	token.Address = d.addr // a free port
	return token
}

func TestJoin(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	token, err := ParseToken("  " + d.invite(t).Format() + "\n")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "deep", "fleet")
	n, err := Join(t.Context(), dir, token, Plan{Name: "b"})
	if err != nil {
		t.Fatal(err)
	}
	if n.Fleet != d.node.Fleet || n.Name != "b" || n.Address != "127.0.0.1:7510" {
		t.Errorf("the node is %+v", n)
	}
	for _, name := range []string{fileCA, fileCAKey, fileToken, fileWrap} {
		ours, err1 := os.ReadFile(filepath.Join(d.node.Dir, name))
		theirs, err2 := os.ReadFile(filepath.Join(dir, name))
		if err1 != nil || err2 != nil || string(ours) != string(theirs) {
			t.Errorf("%s is not the same: %v %v", name, err1, err2)
		}
	}
	text, _ := os.ReadFile(n.TokenKey())
	if _, err := keys.ParseTokenKey(text); err != nil {
		t.Errorf("the key of auth-gen-token: %v", err)
	}
	text, _ = os.ReadFile(n.WrapKey())
	if _, err := keys.ParseWrapKey(text); err != nil {
		t.Errorf("the key of tls-crypt-v2: %v", err)
	}
	for _, dir := range []string{dir, d.node.Dir} {
		err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			i, err := e.Info()
			if want := map[bool]os.FileMode{true: 0o700, false: 0o600}[e.IsDir()]; err == nil && i.Mode().Perm() != want {
				t.Errorf("%s has mode %v", path, i.Mode())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	if again, err := Load(dir); err != nil || again.ID != n.ID {
		t.Errorf("load: %+v %v", again, err)
	}

	// The two trust each other.
	confA, errA := d.node.TLS(nil)
	confB, errB := n.TLS(nil)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	if err := handshake(confA, confB); err != nil {
		t.Errorf("between nodes: %v", err)
	}
	// Strangers, nodes of other fleets, and nodes that are not welcome do not get in.
	other := newDoor(t)
	confOther, err := other.node.TLS(nil)
	if err != nil {
		t.Fatal(err)
	}
	if handshake(confA, confOther) == nil || handshake(confOther, confA) == nil {
		t.Error("a node of another fleet gets in")
	}
	stranger := confB.Clone()
	stranger.GetClientCertificate = nil
	if handshake(confA, stranger) == nil {
		t.Error("a stranger gets in")
	}
	picky, err := d.node.TLS(func(name string) error { return fmt.Errorf("%s is not welcome", name) })
	if err != nil {
		t.Fatal(err)
	}
	if handshake(picky, confB) == nil || handshake(confB, picky) == nil {
		t.Error("a node that is not welcome gets in")
	}
}

// handshake is TLS in memory, both ways, with a byte each way: a client hears of its refusal late.
func handshake(server, client *tls.Config) error {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	deadline := time.Now().Add(15 * time.Second)
	a.SetDeadline(deadline)
	b.SetDeadline(deadline)
	s, c := tls.Server(a, server), tls.Client(b, client)
	errs := make(chan error, 1)
	go func() {
		err := s.Handshake()
		if err == nil {
			_, err = s.Write([]byte{1})
		}
		if err != nil {
			a.Close()
		}
		errs <- err
	}()
	err := c.Handshake()
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	if err != nil {
		b.Close()
	}
	return errors.Join(err, <-errs)
}

// Whatever refuses a node says why, and uses up neither the invitation nor a place on the disk.
func TestJoinRefused(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	other := newDoor(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		with func(*Token, *Plan, *string)
		says string
	}{
		{"a folder that is not empty", func(_ *Token, _ *Plan, dir *string) { *dir = full }, "not empty"},
		{"a folder below a file", func(_ *Token, _ *Plan, dir *string) { *dir = filepath.Join(full, "x", "fleet") }, "not a directory"},
		{"a name that is none", func(_ *Token, p *Plan, _ *string) { p.Name = "b c" }, "node name"},
		{"the name of the first node", func(_ *Token, p *Plan, _ *string) { p.Name = "a" }, "has a node a"},
		{"a name that is taken", func(_ *Token, p *Plan, _ *string) { p.Name = "taken" }, "has a node taken"},
		{"an address that is none", func(_ *Token, p *Plan, _ *string) { p.Address = "0.0.0.0" }, "other nodes can reach"},
		{"a port too high", func(_ *Token, p *Plan, _ *string) { p.Address = "192.0.2.1:65535" }, "65534"},
		{"a listen address that is none", func(_ *Token, p *Plan, _ *string) { p.Listen = "eth0" }, "no IP address"},
		{"another secret", func(k *Token, _ *Plan, _ *string) { k.Secret += "x" }, "no such invitation"},
		{"another invitation", func(k *Token, _ *Plan, _ *string) { k.ID = "aaaaaaaa" }, "no such invitation"},
		{"an invitation that is a path", func(k *Token, _ *Plan, _ *string) { k.ID = "../ca.key" }, "no such invitation"},
		{"another fleet", func(k *Token, _ *Plan, _ *string) { k.Address = other.addr }, "not of the fleet"},
		{"nothing there", func(k *Token, _ *Plan, _ *string) { k.Address = daemontest.FreeAddress(t, 1) }, "is the daemon running"},
		{"no TLS there", func(k *Token, _ *Plan, _ *string) { k.Address = plain.Listener.Addr().String() }, "tls"},
		{"silence", func(k *Token, _ *Plan, _ *string) { k.Address = silent.Addr().String() }, "deadline"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			token, dir := d.invite(t), filepath.Join(t.TempDir(), "fleet")
			good, fresh := token, dir
			p := Plan{Name: "b" + token.ID}
			tt.with(&token, &p, &dir)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := Join(ctx, dir, token, p)
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, and not of %q", err, tt.says)
			}
			if dir == fresh {
				if _, err := os.Stat(dir); err == nil {
					t.Error("there is a folder")
				}
			}
			if _, err := Join(t.Context(), fresh, good, Plan{Name: "b" + good.ID}); err != nil {
				t.Errorf("the invitation is used up: %v", err)
			}
		})
	}
}

// An invitation is for one, however many ask at the same time, and for its time.
func TestInvitationIsForOne(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	token := d.invite(t)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	dir := t.TempDir()
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = Join(t.Context(), filepath.Join(dir, fmt.Sprint(i)), token, Plan{Name: fmt.Sprint("n", i)})
		})
	}
	wg.Wait()
	in := 0
	for _, err := range errs {
		switch {
		case err == nil:
			in++
		case !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "ask for a new one"):
			t.Errorf("refused with: %v", err)
		}
	}
	if in != 1 || len(d.admitted) != 1 {
		t.Errorf("%d are in, %v admitted", in, d.admitted)
	}

	old, err := d.node.Invite(time.Minute, time.Now().Add(-2*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	old.Address = d.addr
	if _, err := Join(t.Context(), filepath.Join(dir, "late"), old, Plan{Name: "late"}); err == nil || !strings.Contains(err.Error(), "has expired") {
		t.Errorf("an old invitation: %v", err)
	}
	if _, err := d.node.Invite(time.Second, time.Now()); err == nil {
		t.Error("an invitation for a second")
	}
	for range invitesMost {
		if _, err := d.node.Invite(time.Hour, time.Now()); err != nil {
			if !strings.Contains(err.Error(), "wait already") {
				t.Error(err)
			}
			return
		}
	}
	if _, err := d.node.Invite(time.Hour, time.Now()); err == nil {
		t.Error("invitations without an end")
	}
}

func TestJoinWithAWrongClock(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.skew = 10 * time.Minute
	_, err := Join(t.Context(), filepath.Join(t.TempDir(), "fleet"), d.invite(t), Plan{Name: "b"})
	if err == nil || !strings.Contains(err.Error(), "clocks differ by 10m") {
		t.Errorf("the other's clock is 10 minutes ahead: %v", err)
	}
	own, _, err := d.node.identity()
	if err != nil {
		t.Fatal(err)
	}
	a, err := d.node.Authority()
	if err != nil {
		t.Fatal(err)
	}
	for _, now := range []time.Time{time.Now().AddDate(-1, 0, 0), time.Now().AddDate(30, 0, 0)} {
		if err := verifyPinned([]*x509.Certificate{own.Leaf, a.cert}, fingerprint(a.cert), now); err == nil || !strings.Contains(err.Error(), "is the clock right?") {
			t.Errorf("at %v: %v", now, err)
		}
	}
}

// The fleet's authority ends first: no certificate goes beyond it, and none is made that would end no later than the one there is.
func TestRenewalNearTheAuthoritysEnd(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "fleet")
	n, err := Init(dir, Plan{Name: "a", Address: "192.0.2.1"}, time.Now().AddDate(-10, 0, 5))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.TLS(nil); err != nil {
		t.Fatal(err)
	}
	a, err := n.Authority()
	if err != nil {
		t.Fatal(err)
	}
	proven := 0
	prove := func(*tls.Config) error { proven++; return nil }
	now := time.Now().AddDate(0, 1, 0) // 10 years from now are after the authority's end
	if err := n.Renew(t.Context(), now, prove); err == nil {
		t.Error("a certificate that is not good yet is accepted")
	}
	if err := n.Renew(t.Context(), time.Now(), prove); err != nil || n.Ends().After(a.cert.NotAfter) || n.Ends().Before(time.Now().AddDate(9, 0, 0)) {
		t.Errorf("the new certificate ends at %v: %v", n.Ends(), err)
	}
	if err := n.Renew(t.Context(), time.Now(), prove); !errors.Is(err, ErrAuthorityEnds) || proven != 1 {
		t.Errorf("a certificate that gains nothing: %v, %d proofs", err, proven)
	}
}

func TestTokensOfPeople(t *testing.T) {
	good := Token{Address: "192.0.2.1:7511", CA: strings.Repeat("0", 64), ID: "abcdefgh", Secret: "s3cret", Expires: 1}
	if got, err := ParseToken(good.Format()); err != nil || got != good {
		t.Errorf("%+v %v", got, err)
	}
	if s := fmt.Sprint(good.LogValue()); strings.Contains(s, "s3cret") {
		t.Errorf("the log has %s", s)
	}
	for n := range len(good.Format()) {
		if got, err := ParseToken(good.Format()[:n]); err == nil || !errors.Is(err, ErrToken) {
			t.Fatalf("the first %d bytes are a token: %+v %v", n, got, err)
		}
	}
}

func TestInitRefuses(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		dir  string
		plan Plan
		says string
	}{
		{full, Plan{Name: "a", Address: "192.0.2.1"}, "not empty"},
		{"", Plan{Name: "", Address: "192.0.2.1"}, "node name"},
		{"", Plan{Name: strings.Repeat("a", 33), Address: "192.0.2.1"}, "node name"},
		{"", Plan{Name: "a.b", Address: "192.0.2.1"}, "node name"},
		{"", Plan{Name: "a", Address: ""}, "other nodes can reach"},
		{"", Plan{Name: "a", Address: "::"}, "other nodes can reach"},
		{"", Plan{Name: "a", Address: "host:0"}, "port"},
		{"", Plan{Name: "a", Address: "a b"}, "other nodes can reach"},
	} {
		dir := tt.dir
		if dir == "" {
			dir = filepath.Join(t.TempDir(), "fleet")
		}
		if _, err := Init(dir, tt.plan, time.Now()); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%+v: %v", tt.plan, err)
		}
	}
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1:7510", "192.0.2.1:99": "192.0.2.1:99", "2001:db8::1": "[2001:db8::1]:7510", "[2001:db8::1]": "[2001:db8::1]:7510",
		"[2001:db8::1]:99": "[2001:db8::1]:99", "vpn.example.com": "vpn.example.com:7510",
	} {
		if got, err := WithPort(address); got != want || err != nil {
			t.Errorf("%s is %s: %v", address, got, err)
		}
	}
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "fleet init") {
		t.Errorf("a folder of nothing: %v", err)
	}
}

// An authority whose end is near gets a later one; nodes with the old and with the new one accept each other, and a node joins afterwards.
func TestAuthorityIsRenewed(t *testing.T) {
	t.Parallel()
	const left = AuthorityRenewBefore - 24*time.Hour
	dir := filepath.Join(t.TempDir(), "fleet")
	made := time.Now().AddDate(-authorityYears, 0, 0).Add(left)
	n, err := Init(dir, Plan{Name: "a", Address: "192.0.2.1"}, made)
	if err != nil {
		t.Fatal(err)
	}
	a, err := n.Authority()
	if err != nil {
		t.Fatal(err)
	}
	if renewed, err := n.RenewAuthority(t.Context(), time.Now()); renewed || err == nil || !strings.Contains(err.Error(), "not accepted") {
		t.Errorf("a node whose certificate has ended renews the authority: %v, %v", renewed, err)
	}
	key, csr, err := request("a")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := a.Issue("a", csr, time.Now())
	if err == nil {
		err = errors.Join(WriteFile(filepath.Join(dir, fileCert), cert), WriteFile(filepath.Join(dir, fileKey), key))
	}
	if err != nil {
		t.Fatal(err)
	}
	old, err := n.TLS(nil)
	if err != nil {
		t.Fatal(err)
	}
	if renewed, err := n.RenewAuthority(t.Context(), time.Now()); !renewed || err != nil {
		t.Fatalf("the authority is not renewed: %v", err)
	}
	if renewed, err := n.RenewAuthority(t.Context(), time.Now()); renewed || err != nil {
		t.Errorf("it is renewed twice: %v", err)
	}
	b, err := n.Authority()
	switch {
	case err != nil:
		t.Fatal(err)
	case b.cert.NotAfter.Before(time.Now().AddDate(authorityYears-1, 0, 0)):
		t.Errorf("it ends at %v", b.cert.NotAfter)
	case !b.cert.NotBefore.Equal(a.cert.NotBefore):
		t.Errorf("its start has moved from %v to %v", a.cert.NotBefore, b.cert.NotBefore)
	}
	if got := n.TrustEnds(); !got.Equal(a.cert.NotAfter) {
		t.Errorf("this process trusts the authority until %v", got)
	}
	if err := n.Renew(t.Context(), time.Now(), func(*tls.Config) error { return nil }); err != nil {
		t.Errorf("a certificate beyond the old end: %v", err)
	}
	if n.Ends().Before(time.Now().AddDate(nodeYears-1, 0, 0)) {
		t.Errorf("the node's certificate ends at %v", n.Ends())
	}
	again, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := again.TLS(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, ends := range map[string][2]*tls.Config{"old to new": {old, fresh}, "new to old": {fresh, old}} {
		if err := meet(t, ends[0], ends[1]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// meet lets two ends shake hands.
func meet(t *testing.T, client, server *tls.Config) error {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	done := make(chan error, 1)
	go func() {
		s := tls.Server(a, server)
		err := s.HandshakeContext(t.Context())
		if err == nil {
			_, err = s.Write([]byte{1})
		}
		done <- err
	}()
	c := tls.Client(b, client)
	err := c.HandshakeContext(t.Context())
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	b.Close()
	return errors.Join(err, <-done)
}
