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
	"strconv"
	"strings"
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
	target := net.JoinHostPort(cfg.TargetHost, strconv.Itoa(int(cfg.TargetPort)))
	if p.Auth == HTTPAuthNTLM || p.Auth == HTTPAuthNTLM2 {
		return nil, nil, httpErrorf(false, "authentication method %s is not supported, use basic or digest", p.Auth)
	}
	authorization := ""
	if p.Auth == HTTPAuthBasic {
		if err := p.credentials(ctx); err != nil {
			return nil, nil, err
		}
		authorization = p.basic()
	}
	for try := 0; ; try++ {
		conn, err := dialConn(ctx, cfg)
		if err != nil {
			return nil, nil, err
		}
		br := bufio.NewReaderSize(conn, maxProxyAnswer)
		ans, err := withContext(ctx, conn, func() (proxyAnswer, error) {
			if _, err := conn.Write(p.request(target, authorization)); err != nil {
				return proxyAnswer{}, fmt.Errorf("send to HTTP proxy: %w", err)
			}
			return readProxyAnswer(br)
		})
		if err == nil && ans.code == 200 {
			carry, _ := br.Peek(br.Buffered())
			return conn, append([]byte(nil), carry...), nil
		}
		_ = conn.Close()
		switch {
		case err != nil:
			return nil, nil, err
		case ans.code != 407:
			return nil, nil, httpErrorf(false, "returned: '%s'", ans.line)
		case try > 0 || authorization != "" || p.Auth == HTTPAuthNone || p.Auth == "":
			return nil, nil, httpErrorf(true, "returned: '%s'", ans.line)
		}
		if authorization, err = p.answer(ctx, ans, target); err != nil {
			return nil, nil, err
		}
	}
}

// credentials asks for user name and password unless they are known.
func (p *HTTPProxy) credentials(ctx context.Context) error {
	if p.Username != "" {
		return nil
	}
	if p.Credentials == nil {
		return httpErrorf(true, "wants a user name and password, and none is configured")
	}
	var err error
	p.Username, p.Password, err = p.Credentials(ctx)
	return err
}

func (p *HTTPProxy) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(p.Username+":"+p.Password))
}

// request is the CONNECT request.
func (p *HTTPProxy) request(target, authorization string) []byte {
	version := p.Version
	if version == "" {
		version = "1.0"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "CONNECT %s HTTP/%s\r\n", target, version)
	hasHost := false
	for _, h := range p.Headers {
		name, _, _ := strings.Cut(h, ":")
		hasHost = hasHost || strings.EqualFold(strings.TrimSpace(name), "Host")
	}
	if !hasHost {
		fmt.Fprintf(&b, "Host: %s\r\n", target)
	}
	for _, h := range p.Headers {
		fmt.Fprintf(&b, "%s\r\n", strings.NewReplacer("\r", "", "\n", "").Replace(h))
	}
	if p.Agent != "" {
		fmt.Fprintf(&b, "User-Agent: %s\r\n", p.Agent)
	}
	if authorization != "" {
		fmt.Fprintf(&b, "Proxy-Authorization: %s\r\n", authorization)
	}
	b.WriteString("\r\n")
	return []byte(b.String())
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
			return a, httpErrorf(false, "answer has an endless line")
		}
		if err != nil {
			return a, fmt.Errorf("read from HTTP proxy: %w", err)
		}
		if total += len(raw); total > maxProxyAnswer {
			return a, httpErrorf(false, "answer is too long")
		}
		line := strings.TrimRight(string(raw), "\r\n")
		switch {
		case a.line == "":
			a.line = line
			var major, minor int
			if _, err := fmt.Sscanf(line, "HTTP/%d.%d %d", &major, &minor, &a.code); err != nil {
				return a, httpErrorf(false, "answer is not HTTP: %.60q", line)
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

// answer chooses a method among those the proxy offers and we may use; digest before basic.
func (p *HTTPProxy) answer(ctx context.Context, a proxyAnswer, target string) (string, error) {
	var basic, ntlm bool
	var digest map[string]string
	for _, c := range a.challenges {
		method, rest, _ := strings.Cut(c, " ")
		switch strings.ToLower(method) {
		case "basic":
			basic = true
		case "ntlm", "negotiate":
			ntlm = true
		case "digest":
			params := parseChallenge(rest)
			if alg := params["algorithm"]; alg == "" || strings.EqualFold(alg, "MD5") || strings.EqualFold(alg, "MD5-sess") {
				digest = params
			}
		}
	}
	switch {
	case digest != nil && p.Auth != HTTPAuthBasic:
		if err := p.credentials(ctx); err != nil {
			return "", err
		}
		return p.digest(digest, target, rand.Text()), nil
	case basic && p.Auth == HTTPAuthAuto:
		if err := p.credentials(ctx); err != nil {
			return "", err
		}
		return p.basic(), nil
	case ntlm:
		return "", httpErrorf(false, "offers only NTLM authentication, which is not supported; allow basic or digest on the proxy")
	}
	return "", httpErrorf(false, "offers no usable authentication method for %q", p.Auth)
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
