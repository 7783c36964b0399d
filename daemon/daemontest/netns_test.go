//go:build linux

package daemontest

import (
	"net"
	"strings"
	"testing"
	"time"
)

func TestPair(t *testing.T) {
	a, b := NewPair(t)
	a.Run(t, "ping", "-c1", "-W2", "10.99.0.2")
	b.Run(t, "ping", "-c1", "-W2", "fd99::1")

	// A socket opened by Do lives in the namespace: both can have the same port.
	for _, n := range []*Namespace{a, b} {
		n.Do(t, func() error {
			l, err := net.Listen("tcp4", "127.0.0.1:7777")
			if err == nil {
				t.Cleanup(func() { _ = l.Close() })
			}
			return err
		})
	}
}

func TestProcess(t *testing.T) {
	n := NewNamespace(t)
	p := n.Start(t, "sh", "-c", "trap 'echo bye; exit 3' TERM; echo one; ip -br link; while :; do sleep 0.05; done")
	p.WaitLine(t, "one", 5*time.Second)
	p.WaitLine(t, "lo ", 5*time.Second)
	p.Stop(t)
	if got := p.Wait(t, time.Second); got != 3 {
		t.Errorf("exit status %d, want 3", got)
	}
	if !strings.HasSuffix(p.Log(), "bye") {
		t.Errorf("log ends in %q, want bye", p.Log())
	}
}

func TestStockOpenVPN(t *testing.T) {
	n := NewNamespace(t)
	p := n.Start(t, RequireOpenVPN(t), "--dev", "null", "--dev-type", "tun", "--proto", "udp4", "--verb", "3", "--cipher", "none", "--auth", "none",
		"--remote", "127.0.0.1")
	p.WaitLine(t, "UDPv4 link remote: [AF_INET]127.0.0.1:1194", 5*time.Second)
	p.Stop(t)
	p.WaitLine(t, "process exiting", time.Second)
}
