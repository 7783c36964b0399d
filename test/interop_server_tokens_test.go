//go:build linux

package test

import (
	"crypto/rand"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/keys"
)

// tokenCase is one login with a token, or with a password where state is Initial.
type tokenCase struct {
	first string // name of the login that the renewal follows, "-" for none: the token opens the session
	state string // session_state that the token is made for
	typed string // user name that goes with it
}

func (c tokenCase) String() string {
	return fmt.Sprintf("first login %q, then %s with name %q", c.first, c.state, c.typed)
}

// owner is the name that the login is for, if it is good.
func (c tokenCase) owner() string {
	if strings.HasSuffix(c.state, "EmptyUser") {
		return ""
	}
	return c.typed
}

// tokenOutcome is what became of a login.
type tokenOutcome struct {
	First, Then string // texts of the first login and of the second
	Calls       string // what the script saw in the second: state, user name, common name
	Tokens      string // names that the pushed tokens are made for
}

// tokenRig is a server with auth-gen-token.
type tokenRig struct {
	l     *lab
	key   *keys.TokenKey
	calls string
	sock  string
	s     *daemontest.Process
}

func newTokenRig(t *testing.T, start starter, extra ...string) *tokenRig {
	t.Helper()
	l := newLab(t)
	r := &tokenRig{l: l, calls: l.file("calls"), sock: l.file("mgmt.sock")}
	var err error
	if r.key, err = keys.GenerateTokenKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	l.write(t, "token.key", r.key.Format())
	verify := l.script(t, "verify.sh", `{ read u; read p; } <"$1"
echo "$untrusted_port $session_state user=$username pass=${p:+yes} cn=$common_name" >>`+r.calls+`
case "$session_state" in Authenticated*) exit 0;; Expired*|Invalid) exit 1;; esac
test -z "$u" || test "$p" = pw`)
	args := append([]string{
		"--management", r.sock, "unix", "--script-security", "2", "--auth-user-pass-verify", verify, "via-file",
		"--auth-user-pass-optional", "--verify-client-cert", "none", "--duplicate-cn",
		"--auth-gen-token-secret", l.file("token.key"), "--hand-window", "20", "--auth-gen-token", "3600", "60",
	}, extra...)
	r.s = start(t, l.server, l.serverArgs(args...))
	r.s.WaitLine(t, up, upLimit)
	return r
}

// token makes the token of a case, in the session of like where that is not nil.
func (r *tokenRig) token(state string, like *keys.Token) string {
	now := time.Now()
	tok, _ := keys.NewToken(rand.Reader, "guest", now)
	if like != nil {
		tok = *like
	}
	tok.User, tok.Issued = "guest", now.Truncate(time.Second)
	key := r.key
	if strings.Contains(state, "EmptyUser") {
		tok.User = ""
	}
	if strings.HasPrefix(state, "Expired") {
		tok.Issued = now.Add(-time.Hour).Truncate(time.Second)
		if like == nil {
			tok.Initial = tok.Issued
		}
	}
	if state == "Invalid" {
		key, _ = keys.GenerateTokenKey(rand.Reader)
	}
	return key.Encode(tok)
}

// signers are the names that tokens in texts are signed for, and the newest token.
func (r *tokenRig) signers(texts []string) (names []string, last *keys.Token) {
	for _, text := range texts {
		for o := range strings.SplitSeq(text, ",") {
			tok, ok := strings.CutPrefix(o, "auth-token ")
			if !ok {
				continue
			}
			name := "somebody else"
			for _, n := range []string{"guest", "admin"} {
				if v, err := r.key.Verify(tok, n, time.Now(), time.Hour, 0); err == nil {
					name, last = "'"+v.User+"'", &v
					break
				}
			}
			names = append(names, name)
		}
	}
	return names, last
}

func (p *puppet) outcome() string {
	switch {
	case p.failed != nil:
		return "failed"
	case p.told("AUTH_FAILED"):
		for _, t := range p.texts {
			if strings.HasPrefix(t, "AUTH_FAILED") {
				return t
			}
		}
	case p.told("PUSH_REPLY"):
		return "in"
	}
	return "nothing"
}

func (r *tokenRig) play(t *testing.T, conn *net.UDPConn, c tokenCase) (o tokenOutcome) {
	p, err := r.l.newPuppet(conn, "V4", strings.Replace(usual, "=990", "=478", 1))
	if err != nil {
		t.Error(err)
		return o
	}
	defer p.session.Close()
	pass := func(typed string) string {
		if typed == "" {
			return ""
		}
		return "pw"
	}
	var like *keys.Token
	end := func() bool { return p.outcome() != "nothing" }
	if c.first != "-" {
		p.user, p.pass = c.first, pass(c.first)
		_ = p.play(upLimit, end)
		o.First = p.outcome()
		_, like = r.signers(p.texts)
		if o.First != "in" {
			return o
		}
		_ = p.play(1200*time.Millisecond, func() bool { return false })
		p.texts = nil
	}
	before := fileText(r.calls)
	p.user, p.pass = c.typed, pass(c.typed)
	if c.state != "Initial" {
		p.pass = r.token(c.state, like)
	}
	if c.first == "-" {
		_ = p.play(upLimit, end)
		o.Then = p.outcome()
	} else {
		active := false
		p.event = func(e control.Event) {
			if a, ok := e.(control.Active); ok && a.KeyID == 1 {
				active = true
			}
		}
		_ = p.session.Renegotiate(time.Now())
		_ = p.play(upLimit, func() bool { return active || p.failed != nil })
		_ = p.play(700*time.Millisecond, func() bool { return p.told("AUTH_FAILED") || p.told("PUSH_REPLY,auth-token") })
		if o.Then = p.outcome(); active && o.Then == "nothing" {
			o.Then = "in"
		}
	}
	names, _ := r.signers(p.texts)
	slices.Sort(names)
	o.Tokens = strings.Join(slices.Compact(names), " ")
	_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
	for line := range strings.SplitSeq(strings.TrimPrefix(fileText(r.calls), before), "\n") {
		if rest, ok := strings.CutPrefix(line, port+" "); ok {
			o.Calls += rest + ";"
		}
	}
	return o
}

// A token logs in the name it was made for and no other, whatever name comes with it: in every state, at the first login, at
// a renewal of a nameless session and of a named one, decided by the server or by a verifier. Stock is the judge. The one
// difference: without external-auth we give no tokens to a client without a name, for which nobody accepts them.
func TestTokenMatrix(t *testing.T) {
	t.Parallel()
	var cases []tokenCase
	for _, first := range []string{"-", "", "guest"} {
		for _, state := range []string{"Initial", "Authenticated", "AuthenticatedEmptyUser", "Expired", "ExpiredEmptyUser", "Invalid"} {
			for _, typed := range []string{"", "guest", "admin"} {
				cases = append(cases, tokenCase{first, state, typed})
			}
		}
	}
	for mode, extra := range map[string][]string{"internal": nil, "external-auth": {"external-auth"}} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			all := make(map[string][]tokenOutcome)
			for name, start := range programs {
				r := newTokenRig(t, start, extra...)
				out := make([]tokenOutcome, len(cases))
				var group errgroup.Group
				group.SetLimit(18) // stock has one thread for all of them
				for i, c := range cases {
					conn := openUDP(t, r.l.client, "", "10.99.0.1:1194")
					group.Go(func() error {
						out[i] = r.play(t, conn, c)
						return nil
					})
				}
				_ = group.Wait() // none fails
				terminate(t, r.s)
				all[name] = out
			}
			for i, c := range cases {
				want := all["stock"][i]
				if c.first != "-" && c.owner() != c.first {
					want.Calls = "" // we refuse another name before anyone is asked about it
				}
				if mode == "internal" {
					want.Tokens = strings.ReplaceAll(want.Tokens, "''", "")
				}
				got := all["ours"][i]
				if c.first != "-" && got.Tokens == "'"+c.owner()+"'" {
					want.Tokens = got.Tokens // stock often sends the next token long after the renewal
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%v: stock -, ours +\n%s", c, diff)
				}
			}
		})
	}
}
