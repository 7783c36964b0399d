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
	for _, tool := range []string{"dpkg", "unshare", "openssl", "man", "nsenter", "rpm", "zsh", "fish"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	t.Parallel()
	if out, err := exec.CommandContext(t.Context(), "make", "-C", "..", "package").CombinedOutput(); err != nil {
		t.Fatalf("make package: %v\n%s", err, out)
	}
	newest := func(pattern string) string {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no package %s: %v", pattern, err)
		}
		path, err := filepath.Abs(found[len(found)-1])
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	deb, rpm := newest("../dist/moongate_*.deb"), newest("../dist/moongate-*.rpm")
	out, err := exec.CommandContext(t.Context(), "unshare", "-mn", "--propagation", "private", "sh", "package.sh", deb, rpm, t.TempDir()).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "INSTALLED") {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
