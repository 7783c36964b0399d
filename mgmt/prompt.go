package mgmt

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The texts of prompts: what follows the kind and its colon. Each has a type with Append, for the daemon's side, and a
// Parse function for the other.

// Need is the prompt for a secret, kind PASSWORD.
//
//	Need 'TYPE' username/password[ SC:FLAGS,TEXT]
//	Need 'TYPE' password                  Need 'TYPE' username
type Need struct {
	Type      string // SecretAuth, SecretPrivateKey, …
	Username  bool   // is asked for
	Password  bool   // is asked for
	Challenge *StaticChallenge
}

// StaticChallenge is a question whose answer goes with the password.
type StaticChallenge struct {
	Text   string
	Echo   bool // show the response while typed
	Concat bool // the password is password and response concatenated, not SCRV1
}

// Append adds the text.
func (n Need) Append(b []byte) []byte {
	b = append(AppendText(append(b, "Need '"...), n.Type), "' "...)
	switch {
	case n.Username && n.Password:
		b = append(b, "username/password"...)
	case n.Username:
		b = append(b, "username"...)
	default:
		b = append(b, "password"...)
	}
	if n.Challenge == nil {
		return b
	}
	flags := byte('0')
	if n.Challenge.Echo {
		flags |= 1
	}
	if n.Challenge.Concat {
		flags |= 2
	}
	return AppendText(append(b, " SC:"+string(flags)+","...), n.Challenge.Text)
}

// ParseNeed reads the text of a prompt for a secret. Other texts of PASSWORD give ErrFields.
func ParseNeed(text string) (Need, error) {
	typ, rest, ok := quotedType(text, "Need '", "' username", "' password")
	if !ok {
		return Need{}, fmt.Errorf("secret prompt %q: %w", text, ErrFields)
	}
	what, challenge, has := strings.Cut(rest, " SC:")
	n := Need{Type: typ, Username: strings.HasPrefix(what, "username"), Password: strings.HasSuffix(what, "password")}
	if has {
		flags, text, _ := strings.Cut(challenge, ",")
		v, _ := strconv.ParseUint(flags, 10, 8)
		n.Challenge = &StaticChallenge{Text: text, Echo: v&1 != 0, Concat: v&2 != 0}
	}
	return n, nil
}

// Failed tells that a secret was refused, kind PASSWORD. Reason is the server's own text, which may be a DynamicChallenge.
//
//	Verification Failed: 'TYPE'[ ['REASON']]
type Failed struct{ Type, Reason string }

const verificationFailed = "Verification Failed: '"

// Append adds the text.
func (f Failed) Append(b []byte) []byte {
	b = append(AppendText(append(b, verificationFailed...), f.Type), '\'')
	if f.Reason != "" {
		b = append(AppendText(append(b, " ['"...), f.Reason), "']"...)
	}
	return b
}

// ParseFailed reads the text of a refusal.
func ParseFailed(text string) (Failed, error) {
	rest, ok := strings.CutPrefix(text, verificationFailed)
	if !ok {
		return Failed{}, fmt.Errorf("refusal %q: %w", text, ErrFields)
	}
	if typ, reason, ok := strings.Cut(rest, "' ['"); ok {
		return Failed{typ, strings.TrimSuffix(reason, "']")}, nil
	}
	return Failed{Type: strings.TrimSuffix(rest, "'")}, nil
}

// authToken stands in front of a token, kind PASSWORD.
const authToken = "Auth-Token:"

// AppendAuthToken adds the text that hands on a token.
func AppendAuthToken(b []byte, token string) []byte {
	return appendExact(append(b, authToken...), token)
}

// ParseAuthToken reads a token, false for other texts of PASSWORD.
func ParseAuthToken(text string) (string, bool) { return strings.CutPrefix(text, authToken) }

// Question is the prompt for a confirmation or a text, kinds NEED-OK and NEED-STR.
//
//	Need 'TYPE' confirmation MSG:TEXT          Need 'TYPE' string MSG:TEXT
type Question struct{ Type, Text string }

// Append adds the text for a kind.
func (q Question) Append(b []byte, kind string) []byte {
	what := "string"
	if kind == KindNeedOK {
		what = "confirmation"
	}
	b = AppendText(append(b, "Need '"...), q.Type)
	return AppendText(append(b, "' "+what+" MSG:"...), q.Text)
}

// ParseQuestion reads the text of either kind.
func ParseQuestion(text string) (Question, error) {
	typ, rest, ok := quotedType(text, "Need '", "' confirmation MSG:", "' string MSG:", "' input MSG:")
	if !ok {
		return Question{}, fmt.Errorf("question %q: %w", text, ErrFields)
	}
	_, msg, _ := strings.Cut(rest, "MSG:")
	return Question{typ, msg}, nil
}

// quotedType cuts the type out of prefix TYPE end, where the type may hold quotes itself: it reaches to the first of the
// ends. rest begins behind the quote and blank.
func quotedType(text, prefix string, ends ...string) (typ, rest string, ok bool) {
	if text, ok = strings.CutPrefix(text, prefix); !ok {
		return "", "", false
	}
	at := -1
	for _, e := range ends {
		if i := strings.Index(text, e); i >= 0 && (at < 0 || i < at) {
			at = i
		}
	}
	if at < 0 {
		return "", "", false
	}
	return text[:at], text[at+len("' "):], true
}

const holdText = "Waiting for hold release:"

// AppendHold adds the text of HOLD; wait is the pause that the daemon would have made by itself.
func AppendHold(b []byte, wait time.Duration) []byte {
	return strconv.AppendInt(append(b, holdText...), int64(wait/time.Second), 10)
}

// ParseHold reads the text of HOLD. Daemons before 2.4 name no time.
func ParseHold(text string) (wait time.Duration, err error) {
	_, s, ok := strings.Cut(text, ":")
	if !ok {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("hold %q: %w", text, err)
	}
	return time.Duration(n) * time.Second, nil
}

// RemoteEntry is a connection entry, as the prompt REMOTE shows it.
//
//	HOST,PORT,PROTO
type RemoteEntry struct{ Host, Port, Proto string }

// Append adds the text.
func (r RemoteEntry) Append(b []byte) []byte { return AppendText(b, r.Host+","+r.Port+","+r.Proto) }

// ParseRemote reads the text of REMOTE.
func ParseRemote(text string) (RemoteEntry, error) {
	f := strings.Split(text, ",")
	if len(f) < 3 {
		return RemoteEntry{}, fmt.Errorf("remote %q: %w", text, ErrFields)
	}
	return RemoteEntry{f[0], f[1], f[2]}, nil
}

// ProxyQuestion is the prompt PROXY.
//
//	INDEX,UDP or TCP,HOST
type ProxyQuestion struct {
	Index int // of the connection entry, from 1
	TCP   bool
	Host  string
}

// Append adds the text.
func (p ProxyQuestion) Append(b []byte) []byte {
	b = strconv.AppendInt(b, int64(p.Index), 10)
	if p.TCP {
		b = append(b, ",TCP,"...)
	} else {
		b = append(b, ",UDP,"...)
	}
	return AppendText(b, p.Host)
}

// ParseProxy reads the text of PROXY.
func ParseProxy(text string) (ProxyQuestion, error) {
	f := strings.SplitN(text, ",", 3)
	if len(f) < 3 {
		return ProxyQuestion{}, fmt.Errorf("proxy %q: %w", text, ErrFields)
	}
	n, err := strconv.Atoi(f[0])
	if err != nil {
		return ProxyQuestion{}, fmt.Errorf("proxy %q: %w", text, err)
	}
	return ProxyQuestion{n, f[1] == "TCP", f[2]}, nil
}

// StaticResponse joins a password and the response to a static challenge into what "password" takes.
//
//	SCRV1:BASE64 PASSWORD:BASE64 RESPONSE
func StaticResponse(password, response string) string {
	enc := base64.StdEncoding.EncodeToString
	return "SCRV1:" + enc([]byte(password)) + ":" + enc([]byte(response))
}

// DynamicChallenge is a question in the reason of a refusal; its answer is the password of the next attempt.
//
//	CRV1:FLAGS:STATE:BASE64 USERNAME:TEXT
type DynamicChallenge struct {
	Response bool // one is required
	Echo     bool // show it while typed
	State    string
	Username string
	Text     string
}

// ParseDynamicChallenge reads a challenge, false for any other reason.
func ParseDynamicChallenge(reason string) (DynamicChallenge, bool) {
	f := strings.SplitN(reason, ":", 5)
	if len(f) < 5 || f[0] != "CRV1" {
		return DynamicChallenge{}, false
	}
	user, err := base64.StdEncoding.DecodeString(f[3])
	if err != nil {
		return DynamicChallenge{}, false
	}
	c := DynamicChallenge{State: f[2], Username: string(user), Text: f[4]}
	for flag := range strings.SplitSeq(f[1], ",") {
		c.Response = c.Response || flag == "R"
		c.Echo = c.Echo || flag == "E"
	}
	return c, true
}

// Answer is the password that answers the challenge.
func (c DynamicChallenge) Answer(response string) string {
	return "CRV1::" + c.State + "::" + response
}
