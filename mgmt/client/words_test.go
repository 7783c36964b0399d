package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/mgmt/client"
)

// No way in which a connection ends is told in the words of Go's library.
func TestEndings(t *testing.T) {
	op := func(err error) error {
		return &net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: 1}, Addr: &net.TCPAddr{Port: 2}, Err: os.NewSyscallError("read", err)}
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{context.DeadlineExceeded, "no answer in time"},
		{&net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}, "no answer in time"},
		{context.Canceled, "interrupted"},
		{io.EOF, "the other end closed the connection"},
		{fmt.Errorf("http: %w", io.EOF), "the other end closed the connection"},
		{io.ErrUnexpectedEOF, "the connection broke off in the middle of an answer"},
		{op(syscall.EPIPE), "the other end closed the connection"},
		{op(syscall.ECONNRESET), "the other end reset the connection"},
		{&net.OpError{Op: "write", Net: "unix", Err: net.ErrClosed}, "the connection is closed"},
		{io.ErrClosedPipe, "the connection is closed"},
		{op(syscall.EHOSTUNREACH), "no route to host"},
		{errors.New("something else"), "something else"},
	} {
		got := client.Ending(tt.err)
		if got.Error() != tt.want || !errors.Is(got, tt.err) {
			t.Errorf("%v: %q, want %q", tt.err, got, tt.want)
		}
	}
	if err := client.Ending(nil); err != nil {
		t.Errorf("nil: %v", err)
	}
}

// A daemon that goes away in each way, at each moment: the error says it in words.
func TestLostInWords(t *testing.T) {
	reset := func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); c.Close() }
	for name, leave := range map[string]func(net.Conn){"closed": func(c net.Conn) { c.Close() }, "reset": reset} {
		for _, said := range []string{"", ">INF", ">INFO:OpenVPN Management Interface Version 5\r\n", ">INFO:OpenVPN Management Interface Version 5\r\nSUCC"} {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(c, said)
				if strings.Contains(said, "\n") {
					_, _ = c.Read(make([]byte, 100))
				}
				leave(c)
			}()
			c, err := client.Dial(t.Context(), l.Addr().String(), client.Options{GreetingTimeout: 10 * time.Second})
			if err == nil {
				_, err = c.Cmd(t.Context(), "pid")
				c.Close()
			}
			l.Close()
			unreachable := (*client.UnreachableError)(nil) // a reset may come before the dial returns
			if !errors.Is(err, client.ErrLost) && !errors.As(err, &unreachable) {
				t.Errorf("%s after %q: %v", name, said, err)
				continue
			}
			for _, of := range []string{"EOF", "by peer", "i/o", "use of closed", "->", "pipe"} {
				if strings.Contains(err.Error(), of) {
					t.Errorf("%s after %q: %v", name, said, err)
				}
			}
		}
	}
}
