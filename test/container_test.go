package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// The image that packaging/Containerfile describes runs commands as nobody, and a daemon as root with Lua in it. No engine for containers is needed: the
// steps are done here, with the program that the tests have built in place of another build. That the base image has what the steps use is not shown.
func TestContainerfile(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs root")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	root, entry, user := image(t, "../packaging/Containerfile")
	inside := func(user string, args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "chroot", append([]string{"--userspec=" + user, root, entry}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s as %s: %v\n%s", strings.Join(args, " "), user, err, out)
		}
		return string(out)
	}
	inside(user, "--version")
	if err := os.WriteFile(filepath.Join(root, "hook.lua"), []byte("print('the hook runs')\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	inside(user, "check", "/hook.lua")
	const sock = "/run/moongate/office.sock"
	for _, dir := range []string{"proc", "dev"} { // which engines mount
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "-m", "--propagation", "private", "sh", "-ec", `mount -t proc proc "$0/proc"; mount --bind /dev "$0/dev"; exec chroot "$0" "$@"`, root, entry, "daemon", "--dev", "null", "--user", "nobody", "--persist-tun", "--persist-key",
		"--management", sock, "unix", "--script", "/hook.lua", "--verb", "3")
	var log daemontest.Log
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(log.String())
		}
	})
	daemontest.Await(t, "the daemon's hook", func() bool { return log.Count("the hook runs") > 0 })
	inside(user, "-a", "office", "state")
	inside("0:0", "-a", "office", "signal", "SIGTERM")
	if err := cmd.Wait(); err != nil {
		t.Errorf("the daemon ended: %v\n%s", err, log.String())
	}
}

// image does the steps of a Containerfile of two stages, whose first lays out what the second consists of below /out.
func image(t *testing.T, file string) (root, entry, user string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	root = t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil { //nolint:gosec // it is the root of nobody's programs
		t.Fatal(err)
	}
	program, err := released()
	if err != nil {
		t.Fatal(err)
	}
	shim := t.TempDir() // a go that has built already
	script := "#!/bin/sh\nwhile [ $# -gt 1 ]; do [ \"$1\" = -o ] && out=$2; shift; done\ntest -d \"$1\" && cp '" + program + "' \"$out\"\n"
	if err := os.WriteFile(filepath.Join(shim, "go"), []byte(script), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	stage := 0
	joined := regexp.MustCompile(`\\\n\s*`).ReplaceAllString(string(text), " ")
	for line := range strings.Lines(joined) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case word == "" || word[0] == '#':
		case word == "FROM":
			stage++
			if stage == 2 && rest != "scratch" {
				t.Fatalf("the image is built on %s, the test knows scratch alone", rest)
			}
		case stage == 1 && (word == "ARG" || line == "WORKDIR /src\n" || line == "COPY . .\n"):
		case stage == 1 && word == "RUN":
			run := exec.CommandContext(t.Context(), "sh", "-ec", strings.ReplaceAll(rest, "/out", root))
			run.Dir, run.Env = "..", append(os.Environ(), "PATH="+shim+":"+os.Getenv("PATH"), "VERSION=test")
			if out, err := run.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", rest, err, out)
			}
		case stage == 2 && line == "COPY --from=build /out/ /\n":
		case stage == 2 && word == "USER":
			user = rest
		case stage == 2 && word == "ENTRYPOINT":
			entry = strings.Trim(rest, `[]"`)
		default:
			t.Fatalf("the test does not know the step %q", line)
		}
	}
	return root, entry, user
}
