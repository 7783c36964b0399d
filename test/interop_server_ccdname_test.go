//go:build linux

package test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A client's name finds the same file with our server as with stock: whatever a name is made of, no file is passed over,
// and none outside the folder is read.
func TestServerFindsFilesByName(t *testing.T) {
	t.Parallel()
	names := []string{
		"plain", "bob/host", "/bob", "a/b/c", "..", ".", "../up", "...", `back\slash`, "white space", "col:on", "UNDEF", "DEFAULT", "bell\abell", "com,ma",
		strings.Repeat("l", 100),
	}
	reading := regexp.MustCompile(`OPTIONS IMPORT: reading client specific options from: (.*)`)
	found := func(t *testing.T, start starter, names []string, extra ...string) map[string]string {
		l := newLab(t)
		ccd := l.file("ccd")
		if err := os.Mkdir(ccd, 0o755); err != nil {
			t.Fatal(err)
		}
		l.write(t, "up", nil)
		for _, n := range names {
			if n == "plain" || strings.Trim(n, ".") == "" {
				continue
			}
			for _, special := range []string{"/", "/\a", `/\`, `/:`, "/ "} {
				l.write(t, filepath.Join("ccd", regexp.MustCompile("["+regexp.QuoteMeta(special)+"]").ReplaceAllString(n, "_")), nil)
			}
		}
		s := start(t, l.server, l.serverArgs(append([]string{
			"--client-config-dir", ccd, "--script-security", "3", "--auth-user-pass-verify", "/bin/true", "via-env", "--username-as-common-name", "--verify-client-cert", "none",
		}, extra...)...))
		s.WaitLine(t, up, upLimit)
		got := make(map[string]string)
		for i, n := range names {
			login := l.write(t, "login", []byte(n+"\npass\n"))
			from := len(s.Log())
			c := stock(t, l.client, l.clientArgs("--auth-user-pass", login, "--lport", fmt.Sprint(2000+i)))
			await(t, "the server knows about "+n, upLimit, func() bool {
				return strings.Contains(c.Log(), up) || strings.Contains(c.Log(), "AUTH_FAILED")
			})
			c.Stop(t)
			switch m := reading.FindStringSubmatch(s.Log()[from:]); {
			case m != nil:
				got[n] = strings.TrimPrefix(m[1], l.dir)
			case strings.Contains(c.Log(), "AUTH_FAILED"):
				got[n] = "refused"
			default:
				got[n] = "nothing"
			}
		}
		return got
	}
	for name, tt := range map[string]struct {
		names []string
		extra []string
	}{
		"with DEFAULT": {names: names}, "exclusive": {names: append(names[:8:8], "UNDEF", "DEFAULT"), extra: []string{"--ccd-exclusive"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, got := found(t, stock, tt.names, tt.extra...), found(t, ours, tt.names, tt.extra...)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("files (-stock +ours):\n%s", diff)
			}
		})
	}
}
