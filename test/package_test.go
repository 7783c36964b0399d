package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The package installs on a fresh root, and a tunnel runs from it.
func TestPackageIsInstalledAndRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("builds packages, needs root and network namespaces")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	for _, tool := range []string{"dpkg", "unshare", "openssl", "man", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "make", "-C", "..", "package").CombinedOutput(); err != nil {
		t.Fatalf("make package: %v\n%s", err, out)
	}
	debs, err := filepath.Glob("../dist/moongate_*.deb")
	if err != nil || len(debs) == 0 {
		t.Fatalf("no package: %v", err)
	}
	deb, err := filepath.Abs(debs[len(debs)-1])
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "unshare", "-mn", "--propagation", "private", "sh", "package.sh", deb, t.TempDir()).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "INSTALLED") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
