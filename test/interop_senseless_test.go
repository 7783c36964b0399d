package test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// A TCP connection that begins as no client does is closed at once, by us as by stock: it would hold a place and a
// descriptor until hand-window is over.
func TestSenselessStreamsAreClosed(t *testing.T) {
	t.Parallel()
	frame := func(n int, b string) string { return string([]byte{byte(n >> 8), byte(n)}) + b }
	const id, zero = "aaaaaaaa", "\x00\x00\x00\x00"
	first := map[string]string{
		"HTTP":                    "GET / HTTP/1.0\r\n\r\n",
		"TLS":                     "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"SSH":                     "SSH-2.0-x\r\n",
		"length 0":                frame(0, ""),
		"too long":                frame(0x2000, "\x38"),
		"one byte":                frame(1, "\x38"),
		"short reset":             frame(13, "\x38"+"aaaaaaaaaaaa"),
		"opcode 0":                frame(14, "\x00"+"aaaaaaaaaaaaa"),
		"opcode 31":               frame(14, "\xf8"+"aaaaaaaaaaaaa"),
		"key id 1":                frame(14, "\x39"+id+"\x00"+zero),
		"server's reset":          frame(14, "\x40"+id+"\x00"+zero),
		"control packet":          frame(14, "\x20"+id+"\x00"+zero),
		"acknowledgement":         frame(22, "\x28"+id+"\x01"+zero+"bbbbbbbb"),
		"reset of an old version": frame(14, "\x08"+id+"\x00"+zero),
		"reset with a key":        frame(14, "\x50"+id+"\x00"+zero),
		"half a length":           "\x00",
		"half a frame":            frame(50, "\x38aaa"),
		"reset":                   frame(14, "\x38"+id+"\x00"+zero),
	}
	waits := map[string]bool{"half a length": true, "half a frame": true, "reset": true}
	for name, wrap := range map[string][]string{"plain": nil, "tls-auth": {"--tls-auth"}} {
		for _, side := range []struct {
			name  string
			start func(testing.TB, *daemontest.Namespace, []string) *daemontest.Process
		}{{"stock", stock}, {"ours", ours}} {
			t.Run(name+"/"+side.name, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				args := l.serverArgs("--proto", "tcp-server")
				if wrap != nil {
					args = append(args, "--tls-auth", l.file("ta.key"))
				}
				p := side.start(t, l.server, args)
				p.WaitLine(t, up, upLimit)
				for what, bytes := range first {
					wantOpen := waits[what] && !(what == "reset" && wrap != nil) // without its HMAC
					var open bool
					l.client.Do(t, func() (err error) {
						open, err = staysOpen(bytes, wantOpen)
						return err
					})
					if open != wantOpen {
						t.Errorf("%s: open %v, want %v", what, open, wantOpen)
					}
				}
			})
		}
	}
}

// staysOpen sends the first bytes of a connection and reports whether it is still open after a while, which is longer where
// it is to be closed.
func staysOpen(first string, want bool) (bool, error) {
	c, err := net.Dial("tcp", "10.99.0.1:1194")
	if err != nil {
		return false, err
	}
	defer c.Close()
	wait := 10 * time.Second
	if want {
		wait = 300 * time.Millisecond
	}
	_ = c.SetDeadline(time.Now().Add(wait))
	if _, err := io.WriteString(c, first); err != nil {
		return false, err
	}
	_, err = io.Copy(io.Discard, c)
	return errors.Is(err, os.ErrDeadlineExceeded), nil
}
