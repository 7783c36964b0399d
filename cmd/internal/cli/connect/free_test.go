//go:build unix

package connect

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// A name whose daemon is there is not free, one that greets nobody included: stock serves one program at a time.
func TestFree(t *testing.T) {
	dir := t.TempDir()
	o := client.Options{DialTimeout: time.Second, GreetingTimeout: 50 * time.Millisecond}
	silent := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: silent, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if err := free(t.Context(), "office", silent, o); env.Code(err) != env.CodeCondition {
		t.Errorf("a silent daemon: %v", err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for _, sock := range []string{silent, filepath.Join(dir, "none")} {
		if err := free(t.Context(), "office", sock, o); err != nil {
			t.Errorf("nobody: %v", err)
		}
	}
}
