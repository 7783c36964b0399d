package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
	"github.com/moongate-vpn/moongate/daemon/tokens"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// answers is a management port that answers as a test says, and notes what it is asked.
type answers struct {
	Port // what no test asks for
	away bool

	asked   []string
	remotes []server.RemoteAnswer
	proxy   server.ProxyAnswer
	confirm []bool
	text    string
	err     error
}

func (p *answers) note(format string, args ...any) {
	p.asked = append(p.asked, fmt.Sprintf(format, args...))
}

func (p *answers) Reachable() bool { return !p.away }

func (p *answers) AskRemote(_ context.Context, r server.Remote) (server.RemoteAnswer, error) {
	p.note("remote %s:%s %s", r.Host, r.Port, r.Proto)
	if p.err != nil || len(p.remotes) == 0 {
		return server.RemoteAnswer{Action: server.RemoteSkip, Skip: 1}, p.err
	}
	a := p.remotes[0]
	p.remotes = p.remotes[1:]
	return a, nil
}

func (p *answers) AskProxy(_ context.Context, index int, tcp bool, host string) (server.ProxyAnswer, error) {
	p.note("proxy %d %v %s", index, tcp, host)
	return p.proxy, p.err
}

func (p *answers) AskCertificate(_ context.Context, hint string) (string, error) {
	p.note("certificate %s", hint)
	return p.text, p.err
}

func (p *answers) Sign(_ context.Context, data []byte, algorithm string) ([]byte, error) {
	p.note("sign %s %s", data, algorithm)
	return []byte("signature"), p.err
}

func (p *answers) NeedOK(_ context.Context, typ, msg string) (bool, error) {
	p.note("%s: %s", typ, msg)
	if len(p.confirm) == 0 {
		return false, p.err
	}
	ok := p.confirm[0]
	p.confirm = p.confirm[1:]
	return ok, p.err
}

func (p *answers) NeedStr(_ context.Context, typ, msg string) (string, error) {
	p.note("%s: %s", typ, msg)
	return p.text, p.err
}

func (p *answers) AskPassword(_ context.Context, secret string) (string, error) {
	p.note("password %s", secret)
	return p.text, p.err
}

// questionsTo are questions to such a port, and their log.
func questionsTo(p *answers, o *config.Options) (*questions, *daemontest.Log) {
	log := new(daemontest.Log)
	lg := logging.New(logging.Config{Stdout: log, Stderr: log, Verb: 4})
	return &questions{report: &report{lg: lg, port: p}, opts: o, secrets: new(Secrets)}, log
}

// The port accepts, changes and skips remotes; what it changes counts for this attempt alone.
func TestPortChoosesTheRemote(t *testing.T) {
	gone := errors.New("the port is gone")
	for _, tt := range []struct {
		name    string
		away    bool
		answers []server.RemoteAnswer
		err     error
		want    string // host:port of the profile, "" for none
		asked   int
	}{
		{name: "nobody to ask", away: true, want: "one:1"},
		{name: "accepted", answers: []server.RemoteAnswer{{Action: server.RemoteAccept}}, want: "one:1", asked: 1},
		{name: "changed", answers: []server.RemoteAnswer{{Action: server.RemoteMod, Host: "other", Port: "9"}}, want: "other:9", asked: 1},
		{name: "skipped", answers: []server.RemoteAnswer{{Action: server.RemoteSkip, Skip: 1}, {Action: server.RemoteAccept}}, want: "two:2", asked: 2},
		{name: "two skipped", answers: []server.RemoteAnswer{{Action: server.RemoteSkip, Skip: 2}, {Action: server.RemoteAccept}}, want: "three:3", asked: 2},
		{name: "all skipped", asked: 6},
		{name: "no answer", err: gone, asked: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := &config.Options{Connections: []config.Connection{{Remote: "one", RemotePort: "1"}, {Remote: "two", RemotePort: "2"}, {Remote: "three", RemotePort: "3"}}}
			o.ManagementQueryRemote = true
			p := &answers{away: tt.away, remotes: tt.answers, err: tt.err}
			q, _ := questionsTo(p, o)
			d := &dialer{questions: q, remotes: remotes{count: 3}}
			prof, err := d.askProfile(t.Context())
			got := ""
			if prof != nil && err == nil {
				got = prof.Remote + ":" + prof.RemotePort
			}
			if got != tt.want || (err != nil) != (tt.want == "") || len(p.asked) != tt.asked {
				t.Errorf("%q, %v after %q, want %q", got, err, p.asked, tt.want)
			}
			if tt.err != nil && !errors.Is(err, tt.err) {
				t.Errorf("error %v", err)
			}
			if o.Connections[0].Remote != "one" {
				t.Error("the answer changed the configuration")
			}
		})
	}
}

// The port chooses the proxy of an attempt, or none, in the place of the configuration's.
func TestPortChoosesTheProxy(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer server.ProxyAnswer
		http   *config.HTTPProxy
		socks  *config.SOCKSProxy
	}{
		{"none", server.ProxyAnswer{Kind: server.ProxyNone}, nil, nil},
		{"HTTP", server.ProxyAnswer{Kind: server.ProxyHTTP, Host: "p", Port: "8080"}, &config.HTTPProxy{Host: "p", Port: "8080", AuthAuto: true}, nil},
		{"HTTP without cleartext", server.ProxyAnswer{Kind: server.ProxyHTTP, Host: "p", Port: "8080", NoCleartext: true}, &config.HTTPProxy{Host: "p", Port: "8080", AuthAuto: true, AuthAutoNCT: true}, nil},
		{"SOCKS", server.ProxyAnswer{Kind: server.ProxySOCKS, Host: "p", Port: "1080"}, nil, &config.SOCKSProxy{Host: "p", Port: "1080"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := &config.Options{Connections: []config.Connection{{Remote: "host", Proto: "tcp-client", HTTPProxy: &config.HTTPProxy{Host: "old"}}}}
			o.ManagementQueryProxy = true
			p := &answers{proxy: tt.answer}
			q, _ := questionsTo(p, o)
			d := &dialer{questions: q, remotes: remotes{count: 1}}
			prof, err := d.askProfile(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]any{tt.http, tt.socks}, []any{prof.HTTPProxy, prof.SOCKSProxy}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if want := []string{"proxy 1 true host"}; !slices.Equal(p.asked, want) {
				t.Errorf("asked %q, want %q", p.asked, want)
			}
			p.err = errors.New("gone")
			if _, err := d.askProfile(t.Context()); !errors.Is(err, p.err) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// The port gives the certificate and signs with the key, for a connection that is there.
func TestPortHoldsTheKey(t *testing.T) {
	for _, tt := range []struct {
		flags []string
		want  tlsconf.External
	}{
		{nil, tlsconf.External{}},
		{[]string{"nopadding"}, tlsconf.External{NoPadding: true}},
		{[]string{"pkcs1", "pss"}, tlsconf.External{PKCS1: true, PSS: true}},
		{[]string{"digest", "something new"}, tlsconf.External{Digest: true}},
	} {
		t.Run(strings.Join(tt.flags, " "), func(t *testing.T) {
			p := &answers{text: "PEM"}
			opts := new(config.Options)
			opts.ManagementExternalCert, opts.ManagementExternalKey, opts.ManagementExternalKeyFlags = "my card", true, tt.flags
			q, _ := questionsTo(p, opts)
			connected := false
			d := &identity{questions: q, signing: func() (context.Context, bool) { return t.Context(), connected }}
			var o tlsconf.Options
			if err := d.external(t.Context(), &o); err != nil {
				t.Fatal(err)
			}
			got := *o.External
			got.Sign = nil
			if string(o.Cert) != "PEM" || !cmp.Equal(got, tt.want) {
				t.Errorf("certificate %q, key %+v, want %+v", o.Cert, got, tt.want)
			}
			if _, err := o.External.Sign(tlsconf.SignRequest{}); !errors.Is(err, errNothingToSign) {
				t.Errorf("signed between connections: %v", err)
			}
			connected = true
			if sig, err := o.External.Sign(tlsconf.SignRequest{Data: []byte("data"), Algorithm: "ECDSA"}); string(sig) != "signature" || err != nil {
				t.Errorf("signature %q, %v", sig, err)
			}
			if want := []string{"certificate my card", "sign data ECDSA"}; !slices.Equal(p.asked, want) {
				t.Errorf("asked %q, want %q", p.asked, want)
			}
			p.err = errors.New("gone")
			if err := d.external(t.Context(), &o); !errors.Is(err, p.err) {
				t.Errorf("error %v", err)
			}
			p.away, p.err, o = true, nil, tlsconf.Options{}
			if err := d.external(t.Context(), &o); err != nil || o.External != nil {
				t.Errorf("without a port: %v, %v", o.External, err)
			}
		})
	}
}

// A card's certificate is asked for by its id; an id that names none, and a store without cards, are told in stock's lines.
func TestCardWithoutCertificate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		id    string
		line  string
		asked []string
	}{
		{"no id", "nonsense", "PKCS#11: Cannot deserialize id 19-'CKR_ATTRIBUTE_VALUE_INVALID'", nil},
		{"an id that the port gives", "", "PKCS#11: Cannot deserialize id 19-'CKR_ATTRIBUTE_VALUE_INVALID'", []string{"pkcs11-id-request: Please specify PKCS#11 id to use"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &answers{text: "also nonsense"}
			o := new(config.Options)
			o.PKCS11.Providers, o.PKCS11.ID, o.PKCS11.IDManagement = []string{"x.so"}, tt.id, tt.id == ""
			q, log := questionsTo(p, o)
			d := &identity{questions: q}
			if err := d.tokenKey(t.Context(), new(tlsconf.Options)); !errors.Is(err, errNoToken) {
				t.Errorf("error %v", err)
			}
			if !strings.Contains(log.String(), tt.line) || !strings.Contains(log.String(), "using PKCS#11 interface") {
				t.Errorf("log %q", log)
			}
			if !slices.Equal(p.asked, tt.asked) {
				t.Errorf("asked %q, want %q", p.asked, tt.asked)
			}
		})
	}
}

// A missing card is asked for until it is there or the answer is no.
func TestCardIsAskedFor(t *testing.T) {
	gone := errors.New("gone")
	for _, tt := range []struct {
		name    string
		missing int // looks that find none
		confirm []bool
		away    bool
		portErr error
		want    error
		asked   int
	}{
		{name: "there", want: nil},
		{name: "inserted at the second look", missing: 1, confirm: []bool{true}, asked: 1},
		{name: "inserted at the third look", missing: 2, confirm: []bool{true, true}, asked: 2},
		{name: "declined", missing: 1, confirm: []bool{false}, want: tokens.ErrNoToken, asked: 1},
		{name: "nobody to ask", missing: 1, away: true, want: tokens.ErrNoToken},
		{name: "the port goes", missing: 1, portErr: gone, want: gone, asked: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &answers{confirm: tt.confirm, away: tt.away, err: tt.portErr}
			q, _ := questionsTo(p, new(config.Options))
			d := &identity{questions: q}
			looks := 0
			err := d.withToken(t.Context(), "Card", func() error {
				if looks++; looks <= tt.missing {
					return tokens.ErrNoToken
				}
				return nil
			})
			if !errors.Is(err, tt.want) || len(p.asked) != tt.asked {
				t.Errorf("%v after %q, want %v", err, p.asked, tt.want)
			}
		})
	}
	p := &answers{text: "1234"}
	o := new(config.Options)
	o.ManagementQueryPasswords = true
	q, _ := questionsTo(p, o)
	if pin, err := (&identity{questions: q}).tokenPIN(t.Context(), "Card"); pin != "1234" || err != nil || !slices.Equal(p.asked, []string{"password Card token"}) {
		t.Errorf("PIN %q, %v, asked %q", pin, err, p.asked)
	}
}

// A key file that is not there is waited for while a person says that it comes.
func TestKeyFileIsAskedFor(t *testing.T) {
	p := &answers{}
	missing := t.TempDir() + "/card.pem"
	o := new(config.Options)
	o.Key.Path = missing
	q, _ := questionsTo(p, o)
	d := &identity{questions: q, queryToken: true}
	if err := d.waitForToken(t.Context()); !errors.Is(err, errNoToken) {
		t.Errorf("declined: %v", err)
	}
	p.confirm = []bool{true, true}
	if err := d.waitForToken(t.Context()); !errors.Is(err, errNoToken) || len(p.asked) != 4 {
		t.Errorf("confirmed twice, then declined: %v after %q", err, p.asked)
	}
	d.queryToken = false
	if err := d.waitForToken(t.Context()); err != nil {
		t.Errorf("not to be asked: %v", err)
	}
}
