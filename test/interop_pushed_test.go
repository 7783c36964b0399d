//go:build linux

package test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What clients make of odd things that a server pushes: the same lines of the log, and the same end.
func TestPushedLikeStock(t *testing.T) {
	t.Parallel()
	list := func(format string, n int) (options []string) {
		for i := range n {
			options = append(options, fmt.Sprintf(format, i/250, i%250))
		}
		return options
	}
	for name, tt := range map[string]struct {
		client []string
		pushed []string
	}{
		// More than 8,192. Stock takes seconds over as many routes.
		"many options":  {[]string{"--route-noexec", "--route-gateway", "10.8.0.1", "--verb", "1"}, append(list("route 10.%d.%d.0 255.255.255.0", 1000), list("echo %d.%d", 8000)...)},
		"tun-ipv6":      {nil, []string{"tun-ipv6"}},
		"ping alone":    {[]string{"--ping", "10"}, nil},
		"gateway twice": {[]string{"--redirect-gateway", "def1"}, []string{"redirect-gateway def1", "redirect-gateway def1 bypass-dhcp"}},
		"lzo, no":       {[]string{"--allow-compression", "no"}, []string{"comp-lzo yes"}},
		"lz4, no":       {[]string{"--allow-compression", "no"}, []string{"compress lz4"}},
		"lz4-v2, no":    {[]string{"--allow-compression", "no"}, []string{"compress lz4-v2"}},
		"lzo off, no":   {[]string{"--allow-compression", "no"}, []string{"comp-lzo no"}},
		"stub, no":      {[]string{"--allow-compression", "no"}, []string{"compress"}},
		"stub-v2, no":   {[]string{"--allow-compression", "no"}, []string{"compress stub-v2"}},
		"migrate, no":   {[]string{"--allow-compression", "no"}, []string{"compress migrate"}},
		"lzo":           {nil, []string{"comp-lzo yes"}},
		"lz4":           {nil, []string{"compress lz4"}},
		"lzo off":       {nil, []string{"comp-lzo no"}},
		"lz4, asym":     {[]string{"--allow-compression", "asym"}, []string{"compress lz4"}},
		"lzo, stub":     {[]string{"--compress", "stub-v2"}, []string{"comp-lzo yes"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			puppetServer{options: "V4,dev-type tun", texts: pushReplies(append([]string{"ifconfig 10.8.0.2 255.255.255.0", "topology subnet", "cipher AES-256-GCM"}, tt.pushed...))}.start(t, l)
			got := map[string][]string{}
			for who, start := range compared {
				c := start(t, l.client, l.clientArgs(slices.Concat([]string{"--ifconfig-noexec", "--nobind"}, tt.client)...))
				c.WaitMatch(t, regexp.MustCompile(up+`|SIGUSR1\[`), 3*upLimit) // many routes are hundreds of messages
				if strings.Contains(c.Log(), up) && !slices.Contains(tt.client, "--verb") {
					c.WaitLine(t, "Timers: ", upLimit) // the last of the lines about the outcome
				}
				got[who] = outcomeLines(c.Log())
				c.Stop(t)
			}
			if diff := cmp.Diff(got["stock"], got["ours"]); diff != "" {
				t.Errorf("-stock +ours:\n%s", diff)
			}
		})
	}
}

// pushReplies packs options into messages.
func pushReplies(options []string) (texts []string) {
	text := "PUSH_REPLY"
	for _, o := range options {
		if len(text)+len(o) > 900 {
			texts = append(texts, text+",push-continuation 2")
			text = "PUSH_REPLY"
		}
		text += "," + o
	}
	if len(texts) > 0 {
		text += ",push-continuation 1"
	}
	return append(texts, text)
}

// outcomeLines are the lines that tell what became of the options.
func outcomeLines(log string) (lines []string) {
	kept := regexp.MustCompile(`(?i)^(?:options|data channel: cipher|timers|note|warning|error|--|negotiated|sigusr1|initialization|compress|.*compression)`)
	for line := range strings.SplitSeq(log, "\n") {
		if len(line) > 20 && kept.MatchString(line[20:]) && !strings.HasPrefix(line[20:], "Note: Kernel") && !strings.HasPrefix(line[20:], "Note: '--allow") && !slices.Contains(lines, line[20:]) {
			lines = append(lines, line[20:])
		}
	}
	return lines
}
