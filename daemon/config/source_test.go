package config

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A byte order mark at the start of a file is no part of its text, for passwords and keys alike.
func TestSourceByteOrderMark(t *testing.T) {
	for in, want := range map[string]string{
		"\ufeffuser\npass\n": "user\npass\n", "user\n\ufeffpass\n": "user\n\ufeffpass\n", "\ufeff": "", "": "", "\xef\xbbx": "\xef\xbbx",
	} {
		path := filepath.Join(t.TempDir(), "text")
		if err := os.WriteFile(path, []byte(in), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Source{Path: path}.Load()
		if err != nil || string(got) != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

// askpass and auth-user-pass take references to secrets; a file of that very name comes first.
func TestSourceReference(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("MOONGATE_TEST_LOGIN", "joe\nfrom env")
	for path, text := range map[string]string{"kept": "joe\r\nhush\nmore\n", "env:MOONGATE_TEST_FILE": "a file\n", "file:kept2": "joe\nbeside\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for in, want := range map[string]string{
		"kept": "joe\r\nhush\nmore\n", "file:kept": "joe\r\nhush\nmore\n", "file:kept2": "joe\nbeside\n", "env:MOONGATE_TEST_LOGIN": "joe\nfrom env",
		"env:MOONGATE_TEST_FILE": "a file\n", "cmd:printf 'joe\\nprinted\\n'": "joe\nprinted\n",
	} {
		got, err := Source{Path: in}.LoadSecret(t.Context())
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
	for in, want := range map[string]string{
		"file:none": "secret file:none: open none: no such file", "env:MOONGATE_TEST_NONE": "MOONGATE_TEST_NONE is not set",
		"cmd:sh -c 'echo hush; echo locked >&2; exit 3'": "exit status 3: locked", "cmd:/nowhere/x": "no such file", "cmd:true": "it is empty",
	} {
		got, err := Source{Path: in}.LoadSecret(t.Context())
		if err == nil || len(got) > 0 || !strings.Contains(err.Error(), want) || strings.Contains(strings.TrimPrefix(err.Error(), "secret "+in), "hush") {
			t.Errorf("%s: %q, %v, want %q", in, got, err, want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := (Source{Path: "cmd:sleep 60"}).LoadSecret(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a source that hangs: %v", err)
	}
}

// What is wrong with a reference is told when the configuration is read, and nothing is fetched.
func TestReferencesAreChecked(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"ca", "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	base := "client\ndev tun\nremote 192.0.2.1\nca " + filepath.Join(dir, "ca") + "\n"
	for line, want := range map[string]string{
		`auth-user-pass file:` + filepath.Join(dir, "x"):                   "",
		`auth-user-pass env:VPN_LOGIN`:                                     "",
		`auth-user-pass "cmd:/nowhere/login joe"`:                          "--auth-user-pass: cmd:/nowhere/login joe runs a program, which needs --script-security 2",
		"script-security 2\nauth-user-pass \"cmd:/nowhere/login joe\"":     "",
		`auth-user-pass totp:file:x`:                                       "not the two lines of a user name and a password",
		`auth-user-pass keyring:vpn`:                                       "want keyring:SERVICE/ACCOUNT",
		`auth-user-pass file:`:                                             "nothing follows file:",
		`auth-user-pass filex:y`:                                           "--auth-user-pass fails with 'filex:y'",
		"auth-user-pass\naskpass cmd:/nowhere/pin":                         "--askpass: cmd:/nowhere/pin runs a program, which needs --script-security 2",
		"auth-user-pass\naskpass env:VPN_PIN":                              "",
		"auth-user-pass\naskpass totp:env:VPN_PIN":                         "",
		"auth-user-pass\nscript-security 2\naskpass totp:cmd:/nowhere/pin": "",
		"auth-user-pass\naskpass totp:cmd:/nowhere/pin":                    "runs a program",
	} {
		file := filepath.Join(dir, "c.conf")
		if err := os.WriteFile(file, []byte(base+line), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Parse([]string{file}, Env{})
		var all []string
		var e *Error
		if errors.As(err, &e) {
			all = append(append(all, e.Before...), e.Error())
		} else if err != nil {
			all = append(all, err.Error())
		}
		got := strings.Join(all, "\n")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}
