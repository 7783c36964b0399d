package netconf_test

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/netconf"
)

// Namespaces that follow one another get the same file number again, and not the same name: what a killed daemon left to be
// undone in one is nothing to the next.
func TestNamespaceIsNeverNamedAgain(t *testing.T) {
	daemontest.RequireRoot(t)
	seen, numbers := map[string]bool{}, map[uint64]bool{}
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		name, number, err := inNewNamespace()
		if err != nil {
			t.Fatal(err)
		}
		if seen[name] {
			t.Fatalf("%s again", name)
		}
		seen[name] = true
		if numbers[number] {
			return // the case this is about
		}
		numbers[number] = true
	}
	t.Errorf("no file number of %d came again: the test shows nothing", len(numbers))
}

// inNewNamespace makes a namespace that ends with its thread.
func inNewNamespace() (name string, number uint64, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		var st unix.Stat_t
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return
		}
		if err = unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
			return
		}
		number = st.Ino
		name, err = netconf.Namespace()
	}()
	<-done
	return name, number, err
}
