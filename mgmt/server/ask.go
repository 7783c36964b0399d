package server

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/wire"
)

// All methods below return the answer, the error of ctx, or ErrClosed. Engines end ctx when a signal comes.

// Hold waits for "hold release" if the hold flag is set, else it returns at once. pause is how long the daemon would have
// waited by itself, shown in seconds. A release serves one Hold.
func (s *Server) Hold(ctx context.Context, pause time.Duration) error {
	if !s.HoldFlag() {
		return nil
	}
	line := wire.AppendLine(nil, mgmt.KindHold, string(mgmt.AppendHold(nil, pause)))
	return s.ask(ctx, &prompt{kind: askHold, line: fixed(line), need: mgmt.RoleOperate}, "Need hold release from management interface, waiting...")
}

func fixed(line []byte) func(*seat) []byte { return func(*seat) []byte { return line } }

// Challenge is a static challenge shown with a username/password prompt.
type Challenge = mgmt.StaticChallenge

// Credentials are the answer to AskUserPass.
type Credentials struct{ Username, Password string }

// LogValue implements slog.LogValuer.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.Username) }

// String hides the password from formatted output.
func (c Credentials) String() string { return fmt.Sprintf("%q with password", c.Username) }

// AskUserPass asks for a user name and a password, mgmt.SecretAuth or one of the proxies'. An empty password is an answer,
// an empty user name is not. challenge is nil without a static challenge.
func (s *Server) AskUserPass(ctx context.Context, secret string, challenge *Challenge) (Credentials, error) {
	return s.askSecret(ctx, mgmt.Need{Type: secret, Username: true, Password: true, Challenge: challenge})
}

// AskPassword asks for a password alone, mgmt.SecretPrivateKey for one.
func (s *Server) AskPassword(ctx context.Context, secret string) (string, error) {
	c, err := s.askSecret(ctx, mgmt.Need{Type: secret, Password: true})
	return c.Password, err
}

func (s *Server) askSecret(ctx context.Context, n mgmt.Need) (Credentials, error) {
	line := wire.AppendLine(nil, mgmt.KindPassword, string(n.Append(nil)))
	p := &prompt{kind: askSecret, typ: n.Type, user: n.Username, pass: n.Password, need: mgmt.RoleAuth, line: fixed(line)}
	if err := s.ask(ctx, p, "Need password(s) from management interface, waiting..."); err != nil {
		return Credentials{}, err
	}
	return p.answer.(Credentials), nil
}

func question(kind, typ, msg string) func(*seat) []byte {
	return fixed(wire.AppendLine(nil, kind, string(mgmt.Question{Type: typ, Text: msg}.Append(nil, kind))))
}

// NeedOK asks for a confirmation.
func (s *Server) NeedOK(ctx context.Context, typ, msg string) (bool, error) {
	p := &prompt{kind: askOK, typ: typ, need: mgmt.RoleAuth, line: question(mgmt.KindNeedOK, typ, msg)}
	if err := s.ask(ctx, p, "Need password(s) from management interface, waiting..."); err != nil {
		return false, err
	}
	return p.answer.(bool), nil
}

// NeedStr asks for a text, which is not empty.
func (s *Server) NeedStr(ctx context.Context, typ, msg string) (string, error) {
	p := &prompt{kind: askString, typ: typ, need: mgmt.RoleAuth, line: question(mgmt.KindNeedStr, typ, msg)}
	if err := s.ask(ctx, p, "Need password(s) from management interface, waiting..."); err != nil {
		return "", err
	}
	return p.answer.(string), nil
}

// RemoteAction says what to do with a connection entry.
type RemoteAction uint8

// Answers to AskRemote.
const (
	RemoteAccept RemoteAction = iota // use it
	RemoteMod                        // use it with another host and port, this time
	RemoteSkip                       // go on by Skip entries and ask again
)

// RemoteAnswer is the answer to AskRemote.
type RemoteAnswer struct {
	Action     RemoteAction
	Host, Port string // RemoteMod
	Skip       int    // RemoteSkip, at least 1
}

// AskRemote asks whether to use a connection entry (management-query-remote).
func (s *Server) AskRemote(ctx context.Context, r Remote) (RemoteAnswer, error) {
	text := mgmt.RemoteEntry{Host: r.Host, Port: r.Port, Proto: r.Proto}.Append(nil)
	p := &prompt{kind: askRemote, need: mgmt.RoleOperate, line: fixed(wire.AppendLine(nil, mgmt.KindRemote, string(text)))}
	if err := s.ask(ctx, p, "Need remote from management interface, waiting..."); err != nil {
		return RemoteAnswer{}, err
	}
	return p.answer.(RemoteAnswer), nil
}

// ProxyKind is how to reach a server.
type ProxyKind uint8

// Answers to AskProxy.
const (
	ProxyNone ProxyKind = iota
	ProxyHTTP
	ProxySOCKS
)

// ProxyAnswer is the answer to AskProxy.
type ProxyAnswer struct {
	Kind        ProxyKind
	Host, Port  string
	NoCleartext bool // no cleartext authentication to an HTTP proxy
}

// AskProxy asks for the proxy of connection entry number index, from 1 (management-query-proxy). Only TCP entries may use
// an HTTP proxy.
func (s *Server) AskProxy(ctx context.Context, index int, tcp bool, host string) (ProxyAnswer, error) {
	text := mgmt.ProxyQuestion{Index: index, TCP: tcp, Host: host}.Append(nil)
	p := &prompt{kind: askProxy, tcp: tcp, need: mgmt.RoleOperate, line: fixed(wire.AppendLine(nil, mgmt.KindProxy, string(text)))}
	if err := s.ask(ctx, p, "Need proxy from management interface, waiting..."); err != nil {
		return ProxyAnswer{}, err
	}
	return p.answer.(ProxyAnswer), nil
}

// AskCertificate asks for a certificate, PEM (management-external-cert). Lines end in LF.
func (s *Server) AskCertificate(ctx context.Context, hint string) (string, error) {
	p := &prompt{kind: askCertificate, need: mgmt.RoleAuth, line: fixed(wire.AppendLine(nil, mgmt.KindNeedCertificate, hint))}
	if err := s.ask(ctx, p, "Need certificate from management interface, waiting..."); err != nil {
		return "", err
	}
	return p.answer.(string), nil
}

// Sign asks for a signature (management-external-key). data is a digest or a message, as the algorithm needs; algorithm
// is its word, "ECDSA" or "RSA_PKCS1_PSS_PADDING,hashalg=SHA256,saltlen=digest". The answer is a raw RSA signature or a
// DER ECDSA one, or an error when it is no base64.
//
//	version ≥ 3  >PK_SIGN:data,algorithm     2  >PK_SIGN:data     1  >RSA_SIGN:data
func (s *Server) Sign(ctx context.Context, data []byte, algorithm string) ([]byte, error) {
	text := base64.StdEncoding.EncodeToString(data)
	p := &prompt{kind: askSign, need: mgmt.RoleAuth, line: signLine(text, algorithm)}
	if err := s.ask(ctx, p, "Need signature from management interface, waiting..."); err != nil {
		return nil, err
	}
	sig, err := base64.StdEncoding.DecodeString(p.answer.(string))
	if err != nil {
		return nil, fmt.Errorf("signature from the management interface: %w", err)
	}
	if len(sig) == 0 { // to the peer it would be a bad one, and we would wait for a session that never comes
		return nil, errors.New("signature from the management interface: empty")
	}
	return sig, nil
}

// signLine shows a signature request in the words of the version that a seat announced.
func signLine(data, algorithm string) func(*seat) []byte {
	return func(st *seat) []byte {
		st.signWord = "pk-sign"
		switch {
		case st.version >= 3 && algorithm != "":
			return wire.AppendLine(nil, mgmt.KindPKSign, data+","+algorithm)
		case st.version >= 2:
			return wire.AppendLine(nil, mgmt.KindPKSign, data)
		default:
			st.signWord = "rsa-sign"
			return wire.AppendLine(nil, mgmt.KindRSASign, data)
		}
	}
}
