//go:build linux

package test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// waited depends on when the last request was sent.
var waited = regexp.MustCompile(`requests in \d+s`)

// What clients make of the texts that a server may send instead of options: the same lines, the same end.
func TestTextsLikeStock(t *testing.T) {
	t.Parallel()
	for name, texts := range map[string][]string{
		"pending, longer":        {"AUTH_PENDING,timeout 100000"},
		"pending, zero":          {"AUTH_PENDING,timeout 0"},
		"pending, other":         {"AUTH_PENDING,foo 6"},
		"info":                   {"INFO,hello", "INFO_PRE,CR_TEXT:R,E:pin?", "HALT,bye"},
		"restart":                {"RESTART"},
		"restart, flags, reason": {"RESTART,[N]come back"},
		"halt":                   {"HALT"},
		"halt, reason":           {"HALT,[P]bye"},
		"exit":                   {"EXIT"},
		"unknown":                {"FOO,bar", "HALT"},
		"refused":                {"AUTH_FAILED"},
		"refused, reason":        {"AUTH_FAILED,no such user"},
		"refused for a while":    {"AUTH_FAILED,TEMP[backoff 3]:busy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			puppetServer{options: "V4,dev-type tun", texts: texts}.start(t, l)
			got := map[string][]string{}
			for who, start := range compared {
				c := start(t, l.client, l.clientArgs("--ifconfig-noexec", "--nobind", "--hand-window", "4", "--reneg-sec", "16", "--auth-user-pass", l.write(t, "login.key", []byte("u\np\n"))))
				c.WaitMatch(t, regexp.MustCompile(`SIG\w+\[.*`), upLimit)
				_, after, _ := strings.Cut(c.Log(), "Peer Connection Initiated")
				lines := strings.Split(after, "\n")[1:]
				for i, line := range lines {
					if lines[i] = waited.ReplaceAllString(line[min(20, len(line)):], "requests in <n>s"); strings.HasPrefix(lines[i], "SIG") {
						lines = lines[:i+1]
						break
					}
				}
				got[who] = slices.DeleteFunc(lines, func(s string) bool { return strings.HasPrefix(s, "TLS: ") || strings.HasPrefix(s, "SENT CONTROL") })
				c.Stop(t)
			}
			if diff := cmp.Diff(got["stock"], got["ours"]); diff != "" {
				t.Errorf("-stock +ours:\n%s", diff)
			}
		})
	}
}
