package transport

import (
	"bufio"
	"bytes"
	"testing"
)

// Whatever a proxy answers: the header is bounded, none of what follows it is taken, and what the next request says stays on its lines.
func FuzzProxyAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.0 200 OK\r\n\r\nabc"))
	f.Add([]byte("HTTP/1.1 407 x\r\nProxy-Authenticate: Digest realm=\"a\\\"b\", nonce=c, qop=\"auth\"\r\nProxy-Authenticate: Basic\r\n\r\n"))
	f.Add([]byte("HTTP/9999999999.1 1\n\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		br := bufio.NewReader(bytes.NewReader(in))
		a, err := readProxyAnswer(br)
		if err != nil {
			return
		}
		rest := new(bytes.Buffer)
		if _, err := rest.ReadFrom(br); err != nil {
			t.Fatal(err)
		}
		header, ok := bytes.CutSuffix(in, rest.Bytes())
		if !ok || !bytes.HasSuffix(header, []byte("\n")) || len(header) > maxProxyAnswer {
			t.Fatalf("%d bytes of %d are the header", len(header), len(in))
		}
		p := &HTTPProxy{Username: "user", Password: "pass"}
		ch, err := p.choose(a)
		if err != nil || ch.method != methodDigest {
			return
		}
		if line := p.digest(ch.params, "vpn.example:1194", "cnonce"); bytes.ContainsAny([]byte(line), "\r\n") {
			t.Fatalf("more than a line: %q", line)
		}
	})
}
