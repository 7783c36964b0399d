package daemontest

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
)

// Log is a buffer that several goroutines may write to while others read it.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is all that was written.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Count is how many times text was written.
func (l *Log) Count(text string) int { return strings.Count(l.String(), text) }

var addresses atomic.Int32

// Loopback returns an address of the loopback network that no other caller of this process has, and hardly one of another
// process: a free port could be another test's by the time it is bound.
func Loopback() string { return loopback(os.Getpid(), int(addresses.Add(1))) }

// loopback is the nth address of a process: each has 256, and only processes whose numbers are 32768 apart have the same.
func loopback(pid, n int) string {
	x := pid%(1<<15)<<8 + n
	return fmt.Sprintf("127.%d.%d.%d", 64+x>>16%128, x>>8%256, x%256)
}

// WriteKeys makes a CA with a server and a client "client1" and writes ca.crt, server.crt, server.key, client.crt and
// client.key into a folder. It returns the client.
func WriteKeys(t testing.TB, dir string) *pki.Leaf {
	t.Helper()
	ca, err := pki.NewCA("CA")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"ca.crt": ca.PEM}
	issue := func(file string, s pki.Spec) *pki.Leaf {
		leaf, err := ca.Issue(s)
		if err != nil {
			t.Fatal(err)
		}
		files[file+".crt"], files[file+".key"] = leaf.CertPEM, leaf.KeyPEM
		return leaf
	}
	issue("server", pki.Spec{Name: "server", Server: true})
	client := issue("client", pki.Spec{Name: "client1"})
	if err := pki.WriteFiles(dir, files); err != nil {
		t.Fatal(err)
	}
	return client
}

// Await waits until ok, at most 15 seconds: enough for a machine that does much else.
func Await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
