package client

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// A server that announces a packet above the largest is left at once, not when the packet is there.
func TestLongFrameEndsAnAttempt(t *testing.T) {
	t.Parallel()
	b := newBoth(t, "tcp-server")
	ln, err := net.Listen("tcp", b.addr+":31195")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	left := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			left <- err
			return
		}
		defer c.Close()
		_, _ = c.Write([]byte{0x06, 0xe9, 0x40}) // 1769
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		for buf := make([]byte, 4096); err == nil; {
			_, err = c.Read(buf)
		}
		left <- err
	}()
	b.connect("--hand-window", "30", "--connect-retry", "60", "60")
	if err := <-left; errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the client stays")
	}
}
