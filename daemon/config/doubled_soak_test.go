//go:build linux && soak

package config

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestSoakGivenTwice asks both stock daemons what they make of options that are given twice. MOONGATE_UPDATE=1 writes the file that
// TestGivenTwice holds ours against.
func TestSoakGivenTwice(t *testing.T) {
	old, err := exec.LookPath("openvpn")
	if err != nil {
		t.Skip("openvpn is not installed: make test installs it")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	now := filepath.Join(cache, "moongate/openvpn27/openvpn")
	if err := exec.Command(now, "--version").Run(); err != nil {
		t.Skip("needs stock openvpn 2.7: sh test/openvpn27.sh")
	}
	var words [2][]string
	var wg sync.WaitGroup
	for i, bin := range []string{old, now} {
		dir, fill := doubledDir(t)
		wg.Go(func() {
			for base, p := range doubledPairs() {
				words[i] = append(words[i], stockWord(t, bin, dir, fill, base, p))
			}
		})
	}
	wg.Wait()
	var b strings.Builder
	b.WriteString("# What stock 2.6.14 and 2.7.8 make of a line followed by another. Made by TestSoakGivenTwice.\n")
	i := 0
	for base, p := range doubledPairs() {
		fmt.Fprintf(&b, "%s|%q|%q|%s|%s\n", base, p[0], p[1], words[0][i], words[1][i])
		i++
	}
	if os.Getenv("MOONGATE_UPDATE") != "" {
		if err := os.WriteFile(doubledFile, []byte(b.String()), 0o644); err != nil { //nolint:gosec // as git leaves it
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(doubledFile)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Error(d)
	}
}

func stockWord(t *testing.T, bin, dir string, fill *strings.Replacer, base string, p [2]string) string {
	end := "user no-such-user-here\n"
	if strings.HasPrefix(p[0], "user") {
		end = "group no-such-group-here\n"
	}
	is := func(text string) verdict { return stockMeans(t, bin, dir, fill.Replace("verb 4\n"+text+"\n"+end)) }
	first, second, both, reverse := texts(base, p)
	x, y, xy := is(first), is(second), is(both)
	if x == y && p[0] != p[1] && xy.refused == "" && is(doubledBases[base]) == x {
		return "unseen"
	}
	return meaning(x, y, xy, is(reverse))
}

var dumped = regexp.MustCompile(`(?s)Current Parameter Settings:\n(.*?)\nOpenVPN 2\.`)

// stockMeans returns the parameters that stock logs, and the file it logs them to.
func stockMeans(t *testing.T, bin, dir, text string) verdict {
	all, _ := runStock(t, bin, dir, text, 4*time.Second)
	for _, name := range []string{"a", "b"} { // of log
		if logged, err := os.ReadFile(filepath.Join(dir, name)); err == nil && len(logged) > 0 {
			all += "in " + name + "\n" + string(logged)
		}
		_ = os.Remove(filepath.Join(dir, name))
	}
	all = strings.Join(undated(all), "\n")
	m := dumped.FindStringSubmatch(all)
	if m == nil {
		return verdict{refused: all + " "}
	}
	if _, file, ok := strings.Cut(all, "in a\n"); ok && strings.Contains(file, m[0]) {
		m[1] += "in a"
	}
	return verdict{meant: m[1]}
}
