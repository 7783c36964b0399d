package transport

import (
	"bufio"
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// maxProxyAnswer bounds the header of a proxy's answer, in bytes.
const maxProxyAnswer = 16 << 10

func httpErrorf(auth bool, format string, args ...any) error {
	return &ProxyError{Kind: "HTTP", Text: fmt.Sprintf(format, args...), Auth: auth}
}

// dialHTTP connects through an HTTP proxy. Learning the proxy's challenge costs a connection of its own, as many proxies close
// after 407. The bytes returned are the server's, read together with the end of the answer.
func dialHTTP(ctx context.Context, cfg *DialConfig) (*net.TCPConn, []byte, error) {
	p := *cfg.HTTP
	if p.Auth == HTTPAuthNTLM || p.Auth == HTTPAuthNTLM2 {
		return nil, nil, httpErrorf(false, "HTTP proxy: authentication method %s is not supported, use basic or digest", p.Auth)
	}
	port := strconv.Itoa(int(cfg.TargetPort))
	target := net.JoinHostPort(cfg.TargetHost, port)
	ch := challenge{method: methodNone}
	if p.Auth == HTTPAuthBasic {
		ch.method = methodBasic // known without asking the proxy
	}
	for refused := false; ; {
		conn, err := dialConn(ctx, cfg)
		if err != nil {
			return nil, nil, err
		}
		if err := p.credentials(ctx, ch, refused); err != nil {
			_ = conn.Close()
			return nil, nil, err
		}
		br := bufio.NewReaderSize(conn, maxProxyAnswer)
		ans, err := withContext(ctx, conn, func() (proxyAnswer, error) {
			_ = conn.SetDeadline(cfg.deadline()) // fails only on a connection that is gone: what follows tells
			if _, err := conn.Write(p.request(cfg, target, ch)); err != nil {
				return proxyAnswer{}, fmt.Errorf("send to HTTP proxy: %w", err)
			}
			return readProxyAnswer(br)
		})
		if err == nil {
			cfg.logf(logging.Summary, "HTTP proxy returned: '%s'", ans.line)
		}
		if err == nil && ans.code == 200 {
			carry, _ := br.Peek(br.Buffered())
			return conn, append([]byte(nil), carry...), nil
		}
		_ = conn.Close()
		switch {
		case err != nil:
			return nil, nil, err
		case ans.code != 407:
			return nil, nil, httpErrorf(ans.code == 401, "HTTP proxy returned bad status: '%s'", ans.line)
		}
		cfg.logf(logging.Summary, "Proxy requires authentication")
		if refused = ch.method != methodNone; refused && (p.Credentials == nil || p.Auth != HTTPAuthAuto && p.Auth != HTTPAuthAutoNCT) {
			return nil, nil, httpErrorf(true, "HTTP proxy: user name or password refused")
		}
		if ch, err = p.choose(ans); err != nil {
			return nil, nil, err
		}
		cfg.logf(logging.Summary, "PROXY AUTH %s: 'Proxy-Authenticate: %s'", ch.method, ch.text)
	}
}

// credentials asks for user name and password when they are needed and not known, or were refused.
func (p *HTTPProxy) credentials(ctx context.Context, ch challenge, refused bool) error {
	if ch.method == methodNone || p.Username != "" && !refused {
		return nil
	}
	if p.Credentials == nil {
		return httpErrorf(true, "HTTP proxy wants a user name and password, and none is configured")
	}
	var err error
	p.Username, p.Password, err = p.Credentials(ctx, refused)
	return err
}

func (p *HTTPProxy) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(p.Username+":"+p.Password))
}

// request composes the CONNECT request. The log gets it without the header that carries the credentials.
func (p *HTTPProxy) request(cfg *DialConfig, target string, ch challenge) []byte {
	version := p.Version
	if version == "" {
		version = "1.0"
	}
	lines := []string{fmt.Sprintf("CONNECT %s HTTP/%s", target, version)}
	if !slices.ContainsFunc(p.Headers, func(h string) bool {
		name, _, _ := strings.Cut(h, ":")
		return strings.EqualFold(strings.TrimSpace(name), "Host")
	}) {
		lines = append(lines, "Host: "+cfg.TargetHost)
	}
	for _, h := range p.Headers {
		lines = append(lines, strings.NewReplacer("\r", "", "\n", "").Replace(h))
	}
	if p.Agent != "" {
		lines = append(lines, "User-Agent: "+p.Agent)
	}
	for _, l := range lines {
		cfg.logf(logging.Summary, "Send to HTTP proxy: '%s'", l)
	}
	switch ch.method {
	case methodBasic:
		cfg.logf(logging.Summary, "Attempting Basic Proxy-Authorization")
		lines = append(lines, "Proxy-Authorization: "+p.basic())
	case methodDigest:
		cfg.logf(logging.Summary, "Attempting Digest Proxy-Authorization")
		lines = append(lines, "Proxy-Authorization: "+p.digest(ch.params, target, rand.Text()))
	}
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

// proxyAnswer is the header of an answer.
type proxyAnswer struct {
	code       int
	line       string   // the status line
	challenges []string // values of Proxy-Authenticate
}

// readProxyAnswer reads up to the empty line, and no byte more than br buffers.
func readProxyAnswer(br *bufio.Reader) (proxyAnswer, error) {
	var a proxyAnswer
	for total := 0; ; {
		raw, err := br.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return a, httpErrorf(false, "HTTP proxy: answer has an endless line")
		}
		if err != nil {
			return a, fmt.Errorf("read from HTTP proxy: %w", err)
		}
		if total += len(raw); total > maxProxyAnswer {
			return a, httpErrorf(false, "HTTP proxy: answer is too long")
		}
		line := strings.TrimRight(string(raw), "\r\n")
		switch {
		case a.line == "":
			a.line = line
			var major, minor int
			if _, err := fmt.Sscanf(line, "HTTP/%d.%d %d", &major, &minor, &a.code); err != nil {
				return a, httpErrorf(false, "HTTP proxy: answer is not HTTP: %.60q", line)
			}
		case line == "":
			return a, nil
		default:
			name, value, _ := strings.Cut(line, ":")
			if strings.EqualFold(name, "Proxy-Authenticate") {
				a.challenges = append(a.challenges, strings.TrimSpace(value))
			}
		}
	}
}

// challenge is the method the next request uses, with what the proxy said about it.
type challenge struct {
	method string // methodNone, methodBasic, methodDigest
	text   string // of the header
	params map[string]string
}

// Methods, as the log calls them.
const (
	methodNone   = ""
	methodBasic  = "BASIC"
	methodDigest = "DIGEST"
)

// choose takes a method among those the proxy offers and we may use; digest before basic.
func (p *HTTPProxy) choose(a proxyAnswer) (challenge, error) {
	var basic, digest challenge
	var ntlm bool
	for _, c := range a.challenges {
		method, rest, _ := strings.Cut(c, " ")
		switch strings.ToLower(method) {
		case "basic":
			basic = challenge{method: methodBasic, text: c}
		case "ntlm", "negotiate":
			ntlm = true
		case "digest":
			params := parseChallenge(rest)
			if alg := params["algorithm"]; alg == "" || strings.EqualFold(alg, "MD5") || strings.EqualFold(alg, "MD5-sess") {
				digest = challenge{method: methodDigest, text: c, params: params}
			}
		}
	}
	auto := p.Auth == HTTPAuthAuto || p.Auth == HTTPAuthAutoNCT
	switch {
	case digest.method != "" && (auto || p.Auth == HTTPAuthDigest):
		return digest, nil
	case basic.method != "" && p.Auth == HTTPAuthAuto:
		return basic, nil
	case basic.method != "" && p.Auth == HTTPAuthAutoNCT:
		return challenge{}, httpErrorf(false, "HTTP proxy: support for basic auth and other cleartext proxy auth methods is disabled")
	case ntlm && auto:
		return challenge{}, httpErrorf(false, "HTTP proxy offers only NTLM authentication, which is not supported; allow basic or digest on the proxy")
	}
	return challenge{}, httpErrorf(!auto, "HTTP proxy: no support for proxy authentication method")
}

// digest answers a challenge. Rule: RFC 2617, section 3.2.2.
func (p *HTTPProxy) digest(ch map[string]string, uri, cnonce string) string {
	h := func(s string) string {
		sum := md5.Sum([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	const nc = "00000001"
	ha1 := h(p.Username + ":" + ch["realm"] + ":" + p.Password)
	if strings.EqualFold(ch["algorithm"], "MD5-sess") {
		ha1 = h(ha1 + ":" + ch["nonce"] + ":" + cnonce)
	}
	ha2 := h("CONNECT:" + uri)
	auth := false
	for q := range strings.SplitSeq(ch["qop"], ",") {
		auth = auth || strings.TrimSpace(q) == "auth"
	}
	out := fmt.Sprintf("Digest username=%q, realm=%q, nonce=%q, uri=%q", p.Username, ch["realm"], ch["nonce"], uri)
	if auth {
		out += fmt.Sprintf(", qop=auth, nc=%s, cnonce=%q, response=%q", nc, cnonce,
			h(ha1+":"+ch["nonce"]+":"+nc+":"+cnonce+":auth:"+ha2))
	} else {
		out += fmt.Sprintf(", response=%q", h(ha1+":"+ch["nonce"]+":"+ha2))
	}
	if ch["algorithm"] != "" {
		out += ", algorithm=" + ch["algorithm"]
	}
	if ch["opaque"] != "" {
		out += fmt.Sprintf(", opaque=%q", ch["opaque"])
	}
	return out
}

// parseChallenge reads the name=value list of a challenge; values may be quoted.
func parseChallenge(s string) map[string]string {
	out := make(map[string]string)
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		name = strings.ToLower(strings.Trim(name, " ,\t"))
		rest = strings.TrimLeft(rest, " \t")
		var value strings.Builder
		i := 0
		if strings.HasPrefix(rest, `"`) {
			for i = 1; i < len(rest) && rest[i] != '"'; i++ {
				if rest[i] == '\\' && i+1 < len(rest) {
					i++
				}
				value.WriteByte(rest[i])
			}
			i = min(i+1, len(rest))
		} else {
			for ; i < len(rest) && rest[i] != ','; i++ {
				value.WriteByte(rest[i])
			}
		}
		out[name] = strings.TrimSpace(value.String())
		s = rest[i:]
	}
	return out
}
