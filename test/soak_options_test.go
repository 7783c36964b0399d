//go:build linux && soak

package test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// stockOptions is what docs/options.md compares our options with: a line for each, the numbers of parameters that 2.6 and 2.7 take.
const stockOptions = "../daemon/config/testdata/stock-options.txt"

// mostParameters is how many are tried.
const mostParameters = 7

// TestSoakOptionsOfStock asks both stock daemons which options they know, and with how many parameters: those of our table and all
// that their --help names. MOONGATE_UPDATE=1 writes the file.
func TestSoakOptionsOfStock(t *testing.T) {
	daemontest.RequireRoot(t)
	stocks := []string{daemontest.RequireOpenVPN(t), daemontest.RequireOpenVPN27(t)}
	names := make(map[string]bool)
	for _, d := range config.Describe() {
		names[d.Name] = true
	}
	inHelp := regexp.MustCompile(`(?m)(?:^|, |or )--([a-z0-9-]+)`)
	for _, s := range stocks {
		text, _ := exec.Command(s, "--help").Output() // it exits with 1
		for _, m := range inHelp.FindAllStringSubmatch(string(text), -1) {
			names[m[1]] = true
		}
	}
	delete(names, "daemon") // it leaves us with a process of its own
	var b strings.Builder
	b.WriteString("# option, parameters that stock 2.6.14 takes, those of 2.7.8; - for an option it does not know. Made by TestSoakOptionsOfStock.\n")
	for _, name := range slices.Sorted(maps.Keys(names)) {
		old, now := taken(t, stocks[0], name), taken(t, stocks[1], name)
		if old != "-" || now != "-" {
			fmt.Fprintf(&b, "%s %s %s\n", name, old, now)
		}
	}
	if os.Getenv("MOONGATE_UPDATE") != "" {
		if err := os.WriteFile(stockOptions, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(stockOptions)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Error(d)
	}
}

// taken is "-", or the numbers of parameters that a stock daemon takes: 1, 0-2, 1+, 0,4.
func taken(t *testing.T, stock, name string) string {
	t.Helper()
	var ok [mostParameters + 1]bool
	var wg sync.WaitGroup
	for n := range ok {
		wg.Go(func() { ok[n] = takes(t, stock, name, n) })
	}
	wg.Wait()
	var parts []string
	for n := 0; n < len(ok); n++ {
		last := n
		for last+1 < len(ok) && ok[last+1] {
			last++
		}
		switch {
		case !ok[n]:
			continue
		case last == mostParameters && last > n:
			parts = append(parts, fmt.Sprintf("%d+", n))
		case last > n:
			parts = append(parts, fmt.Sprintf("%d-%d", n, last))
		default:
			parts = append(parts, fmt.Sprint(n))
		}
		n = last
	}
	if parts == nil {
		return "-"
	}
	return strings.Join(parts, ",")
}

// takes reports whether a stock daemon takes an option with n parameters, in a network of its own.
func takes(t *testing.T, stock, name string, n int) bool {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "timeout", append([]string{"2", stock, "--" + name}, slices.Repeat([]string{"1"}, n)...)...)
	cmd.Dir = t.TempDir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, _ := cmd.CombinedOutput()
	return !bytes.Contains(out, []byte("Unrecognized option or missing or extra parameter(s) in [CMD-LINE]:1: "+name+" ")) &&
		!bytes.Contains(out, []byte("directive should have at most"))
}
