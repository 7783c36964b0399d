package daemontest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// The ports that tests give to programs: below those that Linux gives to connections, and above those that have services.
const (
	portsFrom = 12000
	portsTo   = 32000
)

var nextPort struct {
	sync.Mutex
	port int // 0 before the first
}

// FreeAddress is HOST:PORT of the loopback with [FreePort].
func FreeAddress(t testing.TB, n int) string {
	t.Helper()
	return address(FreePort(t, n))
}

// FreePort is the first of n TCP ports beside each other on which nobody listens, for a program that has to be told one. A port that was bound for a moment and
// let go would not do: the system gives it to any connection that comes next.
func FreePort(t testing.TB, n int) int {
	t.Helper()
	nextPort.Lock()
	defer nextPort.Unlock()
	if nextPort.port == 0 {
		nextPort.port = portsFrom + rand.IntN(portsTo-portsFrom) //nolint:gosec // so that test programs do not meet
	}
	for range portsTo - portsFrom {
		port := nextPort.port
		nextPort.port += n
		if nextPort.port > portsTo {
			nextPort.port = portsFrom
			continue
		}
		if areFree(port, n) {
			return port
		}
	}
	t.Fatalf("no %d free ports beside each other from %d to %d", n, portsFrom, portsTo)
	return 0
}

func areFree(port, n int) bool {
	for k := range n {
		ln, err := net.Listen("tcp", address(port+k))
		if err != nil {
			return false
		}
		ln.Close()
	}
	return true
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
