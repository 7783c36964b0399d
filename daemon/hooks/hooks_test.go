package hooks_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/hooks"
)

func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hook.sh")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o700); err != nil { //nolint:gosec // it has to run
		t.Fatal(err)
	}
	return path
}

func TestRunPassesArgumentsAndNothingButItsEnvironment(t *testing.T) {
	t.Setenv("INHERITED", "must not show")
	var out bytes.Buffer
	r := hooks.Runner{Security: 2, Stdout: &out, Stderr: &out}
	env := hooks.NewEnv()
	env.Set("dev", "tun0")
	path := script(t, "echo \"$@\"\n/usr/bin/env\n")
	err := r.Run(t.Context(), hooks.Call{Tag: "--up/--down", Type: "up", Command: path + " -v 'a b'", Args: []string{"tun0", "1500"}, Env: env})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if lines[0] != "-v a b tun0 1500" {
		t.Errorf("arguments %q", lines[0])
	}
	var got []string
	for _, l := range lines[1:] {
		if name, _, _ := strings.Cut(l, "="); name != "PWD" && name != "SHLVL" && name != "_" { // the shell's own
			got = append(got, l)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"dev=tun0", "script_type=up"}, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
}

func TestFailuresReadLikeStock(t *testing.T) {
	for _, tt := range []struct {
		name     string
		security int
		command  string
		want     string
		is       error
	}{
		{"status", 2, script(t, "exit 3\n"), "WARNING: Failed running command (--route-up): external program exited with error status: 3", nil},
		{"missing", 2, "/nonexistent/hook", "WARNING: Failed running command (--route-up): could not execute external program", os.ErrNotExist},
		{"forbidden", 1, script(t, "exit 0\n"), "WARNING: Failed running command (--route-up): disallowed by script-security setting", hooks.ErrDisallowed},
		{"slow", 2, script(t, "/bin/sleep 30 & wait\n"), "WARNING: Failed running command (--route-up): external program took too long and was killed", hooks.ErrDeadline},
	} {
		t.Run(tt.name, func(t *testing.T) {
			started := time.Now()
			r := hooks.Runner{Security: tt.security}
			ctx, cancel := hooks.Limit(200 * time.Millisecond).Context(t.Context())
			defer cancel()
			err := r.Run(ctx, hooks.Call{Tag: "--route-up", Type: "route-up", Command: tt.command, Env: hooks.NewEnv()})
			if err == nil || err.Error() != tt.want {
				t.Fatalf("error %v, want %s", err, tt.want)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %v is not %v", err, tt.is)
			}
			if d := time.Since(started); d > 5*time.Second {
				t.Errorf("took %v: what the script started was waited for", d)
			}
		})
	}
}

// A login that may take long leaves its scripts that time; what follows it has the time of any event at least.
func TestLimits(t *testing.T) {
	for _, patience := range []time.Duration{time.Second, 5 * time.Minute} {
		if got := time.Duration(hooks.OfLogin(patience)); got != patience {
			t.Errorf("a login of %v has %v", patience, got)
		}
		if got, want := hooks.OfConnect(patience), max(hooks.OfEvent, hooks.Limit(patience)); got != want {
			t.Errorf("a connection after %v has %v, want %v", patience, got, want)
		}
	}
	ctx, cancel := hooks.Limit(0).Context(t.Context())
	defer cancel()
	<-ctx.Done()
	if !hooks.Late(ctx) || hooks.Late(t.Context()) {
		t.Error("only what took too long is late")
	}
}

func TestCancelledScriptIsKilled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	r := hooks.Runner{Security: 2}
	started := time.Now()
	err := r.Run(ctx, hooks.Call{Tag: "--up/--down", Type: "up", Command: script(t, "exec /bin/sleep 30\n"), Env: hooks.NewEnv()})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if d := time.Since(started); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}

// What stock 2.6.14 hands to a script of setenv NAME VALUE.
func TestEnvCleansLikeStock(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"foo-bar", "x", "foobar=x"}, {"foo.d/e", "2", "foode=2"}, {"foo bar", "1", "foobar=1"}, {"größe", "y", "gre=y"},
		{"l1", "gr\xf6\xdfe", "l1=gr\xf6\xdfe"}, {"u8", "größe", "u8=größe"}, {"ctl", "a\x01b\x7fc", "ctl=abc"}, {"nl", "a\nb", "nl=ab"}, {"lone", "\xff\x80", "lone=\xff\x80"},
	} {
		e := hooks.NewEnv()
		e.Set(tt.name, tt.value)
		if got := strings.Join(e.List(), " "); got != tt.want {
			t.Errorf("%q=%q: %q, want %q", tt.name, tt.value, got, tt.want)
		}
	}
}

func TestEnvKeepsOrderAndCleans(t *testing.T) {
	e := hooks.NewEnv()
	e.Set("b", "1")
	e.Set("a", "2")
	e.Set("b", "line\nbreak")
	e.Set("odd name", "x")
	if diff := cmp.Diff([]string{"a=2", "b=linebreak", "oddname=x"}, e.List()); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	c := e.With("c=3=4")
	e.UnsetPrefix("odd")
	if diff := cmp.Diff([]string{"b=linebreak", "a=2"}, e.Newest()); diff != "" {
		t.Errorf("newest (-want +got):\n%s", diff)
	}
	if v, _ := c.Get("c"); v != "3=4" {
		t.Errorf("c = %q", v)
	}
	if _, ok := c.Get("oddname"); !ok {
		t.Error("the copy lost a variable with the original")
	}
}
