package secret_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/zalando/go-keyring"

	"github.com/moongate-vpn/moongate/mgmt/secret"
)

const key = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

// tools puts a folder with programs in front of PATH.
func tools(t *testing.T, programs map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text), 0o700); err != nil { //nolint:gosec // it has to run
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestSources(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"plain": "from file\r\nsecond\n", "empty": "", "credential": "from systemd"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tools(t, map[string]string{
		"pass":      `[ "$1 $2 $3" = "show -- vpn/work" ] && printf 'from pass\nlogin: joe\n' && exit 0; echo "Error: $3 is not in the password store." >&2; exit 1`,
		"echo-args": `printf '%s\n' "$1|$2"`, "silent": "exit 0", "hang": "sleep 60 & sleep 60",
		"shout": `while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx | tr -d '\n'; done`,
	})
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	t.Setenv("VPN_PASS", "from env!")
	keyring.MockInit()
	if err := keyring.Set("vpn", "joe/work", "from keyring"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ ref, want, wrong string }{
		{"env:VPN_PASS", "from env!", ""},
		{"env:NOT_SET", "", "variable NOT_SET is not set"},
		{"file:" + dir + "/plain", "from file", ""},
		{"file:" + dir + "/none", "", "no such file"},
		{"file:" + dir + "/empty", "", "it is empty"},
		{"file:" + dir, "", "is a directory"},
		{"systemd:credential", "from systemd", ""},
		{"systemd:../credential", "", "not a credential's name"},
		{"systemd:..", "", "not a credential's name"},
		{`cmd:echo-args "a b" 'c;d'`, "a b|c;d", ""},
		{"cmd:no-such-program x", "", "executable file not found"},
		{`cmd:echo-args "a`, "", "No closing quotation"},
		{"cmd:silent", "", "it is empty"},
		{"cmd:hang", "", "no answer within"},
		{"cmd:shout", "", "no answer within"},
		{"pass:vpn/work", "from pass", ""},
		{"pass:none", "", "Error: none is not in the password store."},
		{"keyring:vpn/joe/work", "from keyring", ""},
		{"keyring:vpn/ann", "", "no entry for service vpn, account ann"},
		{"keyring:vpn", "", "want keyring:SERVICE/ACCOUNT"},
		{"keyring:/x", "", "want keyring:SERVICE/ACCOUNT"},
		{"vault:x", "", "with a source of cmd, env"},
		{"secret", "", "with a source of cmd, env"},
		{"env:", "", "nothing follows env:"},
		{"totp:", "", "with a source of"},
		{"totp:totp:env:X", "", "totp: stands once"},
		{"totp:env:VPN_PASS", "", "not a base32 key"},
	} {
		t.Run(tt.ref, func(t *testing.T) {
			got, err := secret.Resolve(t.Context(), tt.ref, secret.Options{Timeout: 500 * time.Millisecond, StateDir: t.TempDir()})
			if got != tt.want || (err == nil) != (tt.wrong == "") {
				t.Fatalf("got %q, %v", got, err)
			}
			if err == nil {
				return
			}
			var e *secret.Error
			if !errors.As(err, &e) || e.Ref != tt.ref || !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("error %v, want %q", err, tt.wrong)
			}
			if strings.Contains(err.Error(), "from env") {
				t.Errorf("the error holds the secret: %v", err)
			}
		})
	}
}

func TestAHangingSourceIsKilledWithItsChildren(t *testing.T) {
	dir := t.TempDir()
	tools(t, map[string]string{"hang": "sleep 0.4; touch " + dir + "/alive"})
	begin := time.Now()
	_, err := secret.Resolve(t.Context(), "cmd:hang", secret.Options{Timeout: 50 * time.Millisecond})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
	time.Sleep(600 * time.Millisecond)
	if _, err := os.Stat(dir + "/alive"); err == nil {
		t.Error("the program lived on")
	}
}

func TestIsRef(t *testing.T) {
	for text, want := range map[string]bool{
		"env:X": true, "totp:pass:x": true, "file:/x": true, "/etc/pass": false, "C:/pass.txt": false, "pass.txt": false, "passwords:x": false,
	} {
		if got := secret.IsRef(text); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// No code is given out twice: by one process, by several at once, or by one that starts later.
func TestOneTimeCodesAreUsedOnce(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		resolve := func() string {
			got, err := secret.Resolve(t.Context(), "totp:env:KEY", secret.Options{StateDir: dir, Getenv: func(string) string { return key }})
			if err != nil {
				t.Fatal(err)
			}
			want, _ := totp.GenerateCode(key, time.Now())
			if got != want {
				t.Errorf("code %s, the code of now is %s", got, want)
			}
			if left := 30 - time.Now().Unix()%30; left < 2 {
				t.Errorf("a code that ends in %d s", left)
			}
			return got
		}
		var codes []string
		for range 3 {
			codes = append(codes, resolve())
		}
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				c := resolve()
				mu.Lock()
				codes = append(codes, c)
				mu.Unlock()
			})
		}
		wg.Wait()
		time.Sleep(29 * time.Second) // next to the end of a step
		codes = append(codes, resolve())
		slices.Sort(codes)
		if n := len(slices.Compact(slices.Clone(codes))); n != 8 {
			t.Errorf("%d different codes of 8: %q", n, codes)
		}
	})
}

func TestTheWaitForACodeIsBounded(t *testing.T) {
	o := secret.Options{StateDir: t.TempDir(), Getenv: func(string) string { return "otpauth://totp/x?secret=" + key + "&digits=8&period=600" }}
	got, err := secret.Resolve(t.Context(), "totp:env:KEY", o)
	if err != nil || len(got) != 8 {
		t.Fatalf("got %q, %v", got, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err = secret.Resolve(ctx, "totp:env:KEY", o); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "the next unused code begins in") {
		t.Errorf("error %v", err)
	}
}

// A folder that cannot be written, or a clock that was set back, is an error that says so, and no code is given out.
func TestCodesThatCannotBeNotedAreNotGivenOut(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "totp"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(string) string { return key }
	if got, err := secret.Resolve(t.Context(), "totp:env:KEY", secret.Options{StateDir: dir, Getenv: getenv}); err == nil || got != "" {
		t.Errorf("got %q, %v", got, err)
	}
	dir = t.TempDir()
	if _, err := secret.Resolve(t.Context(), "totp:env:KEY", secret.Options{StateDir: dir, Getenv: getenv}); err != nil {
		t.Fatal(err)
	}
	notes, err := filepath.Glob(filepath.Join(dir, "totp", "*"))
	if err != nil || len(notes) != 1 || strings.Contains(notes[0], key) {
		t.Fatalf("notes %q, %v", notes, err)
	}
	if err := os.WriteFile(notes[0], []byte("99999999999\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.Resolve(t.Context(), "totp:env:KEY", secret.Options{StateDir: dir, Getenv: getenv}); err == nil || !strings.Contains(err.Error(), "clock was set back, remove "+notes[0]) {
		t.Errorf("error %v", err)
	}
}

// Whatever a source is that hangs, its deadline holds, and the error says once what happened.
func TestSourcesThatHang(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(pipe, filepath.Join(dir, "credential")); err != nil {
		t.Fatal(err)
	}
	tools(t, map[string]string{"hang": "sleep 60", "pass": "sleep 60 & sleep 60"})
	o := secret.Options{Timeout: 50 * time.Millisecond, StateDir: dir, Getenv: func(string) string { return dir }}
	for _, ref := range []string{"file:" + pipe, "systemd:credential", "cmd:hang", "pass:x", "totp:file:" + pipe, "totp:cmd:hang"} {
		begin := time.Now()
		_, err := secret.Resolve(t.Context(), ref, o)
		if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "secret "+ref+": no answer within 50ms" {
			t.Errorf("%s: error %v", ref, err)
		}
		if d := time.Since(begin); d > 10*time.Second {
			t.Errorf("%s: took %v", ref, d)
		}
	}
}

// A Secret Service that never answers is given up, and asked again and again it does not fill the process. The test runs itself anew: only a fresh process
// asks the real one.
func TestAKeyringThatHangs(t *testing.T) {
	const anew = "MOONGATE_TEST_KEYRING"
	if os.Getenv(anew) == "" {
		bus := filepath.Join(t.TempDir(), "bus")
		ln, err := net.Listen("unix", bus)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		cmd := exec.Command(os.Args[0], "-test.run=^TestAKeyringThatHangs$") //nolint:gosec,noctx // this program
		cmd.Env = append(os.Environ(), anew+"=1", "DBUS_SESSION_BUS_ADDRESS=unix:path="+bus)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v:\n%s", err, out)
		}
		return
	}
	before := runtime.NumGoroutine()
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			_, err := secret.Resolve(t.Context(), "keyring:a/b", secret.Options{Timeout: 50 * time.Millisecond})
			if !errors.Is(err, context.DeadlineExceeded) || err.Error() != "secret keyring:a/b: no answer within 50ms" {
				t.Errorf("error %v", err)
			}
		})
	}
	all.Wait()
	if n := runtime.NumGoroutine() - before; n > 100 {
		t.Errorf("%d goroutines are left", n)
	}
}

// A pipe is a source: its writer may come after the reader, and may write in pieces.
func TestAPipeHasASecret(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		w, err := os.OpenFile(pipe, os.O_WRONLY, 0)
		if err != nil {
			return
		}
		defer w.Close()
		for _, piece := range []string{"from", " a", " pipe\n"} {
			_, _ = w.WriteString(piece)
			time.Sleep(5 * time.Millisecond)
		}
	}()
	if got, err := secret.Resolve(t.Context(), "file:"+pipe, secret.Options{}); got != "from a pipe" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}
