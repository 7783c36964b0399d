//go:build linux

package arena

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// variants are the tunnels measured with both daemons that speak OpenVPN.
var variants = []struct {
	name           string
	server, client []string
}{
	{name: "udp/AES-256-GCM"},
	{"udp/CHACHA20-POLY1305", []string{"--data-ciphers", "CHACHA20-POLY1305"}, []string{"--data-ciphers", "CHACHA20-POLY1305"}},
	{
		"udp/AES-256-CBC", []string{"--data-ciphers", "AES-256-CBC", "--auth", "SHA256"},
		[]string{"--data-ciphers", "AES-256-CBC", "--auth", "SHA256"},
	},
	{"tcp/AES-256-GCM", []string{"--proto", "tcp-server"}, []string{"--proto", "tcp-client"}},
}

// contenders are all that can run here; notes tell about the others.
func contenders(b *testing.B) (list []*contender, notes []string) {
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	dir := authority(b)
	stock, err := exec.LookPath("openvpn")
	if err != nil {
		notes = append(notes, "NO FIGURES OF STOCK: the openvpn program is not installed")
	}
	wg, err := buildWireGuard(dir)
	if err != nil {
		notes = append(notes, "NO FIGURES OF WIREGUARD-GO: "+err.Error())
	}
	for i, v := range variants {
		ours := []string{"env", asDaemon + "=1", exe}
		list = append(list, &contender{name: v.name + "/moongate", start: openvpn(dir, ours, v.server, v.client)})
		if stock != "" {
			list = append(list, &contender{name: v.name + "/stock", start: openvpn(dir, []string{stock}, v.server, v.client)})
		}
		if i == 0 && wg != "" {
			list = append(list, &contender{name: "udp/wireguard-go", start: wireguard(wg)})
		}
	}
	return list, notes
}

// BenchmarkTunnel prints the figures of every contender side by side.
func BenchmarkTunnel(b *testing.B) {
	if testing.Short() {
		b.Skip("takes minutes")
	}
	daemontest.RequireRoot(b)
	for _, p := range []string{"iperf3", "ping"} {
		if _, err := exec.LookPath(p); err != nil {
			b.Skipf("needs %s", p)
		}
	}
	rounds := 3
	if s := os.Getenv("MOONGATE_ARENA_ROUNDS"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil || rounds < 1 {
			b.Fatalf("MOONGATE_ARENA_ROUNDS=%q", s)
		}
	}
	list, notes := contenders(b)
	for range rounds {
		for _, c := range list {
			c.took = append(c.took, measure(b, c))
			if b.Failed() {
				b.FailNow()
			}
		}
	}
	for _, c := range list {
		b.Run(c.name, func(b *testing.B) { report(b, medians(c.took)) })
	}
	// A benchmark that passes keeps its log to itself, so this goes out directly.
	fmt.Printf("\nmedians of %d turns each\n%s%s\n", rounds, table(list), strings.Join(notes, "\n"))
}

func report(b *testing.B, f figures) {
	b.ReportMetric(0, "ns/op") // an operation here is the whole turn
	b.ReportMetric(f.up, "up-Mbit/s")
	b.ReportMetric(f.down, "down-Mbit/s")
	b.ReportMetric(f.idle, "idle-ms")
	b.ReportMetric(f.load, "load-ms")
	b.ReportMetric(f.cpu, "cpu-s/GB")
}

func table(list []*contender) string {
	var t strings.Builder
	fmt.Fprintf(&t, "%-34s %9s %9s %10s %10s %10s\n", "tunnel", "up", "down", "ping idle", "ping load", "cpu")
	for _, c := range list {
		f := medians(c.took)
		fmt.Fprintf(&t, "%-34s %4.0f Mb/s %4.0f Mb/s %7.2f ms %7.2f ms %5.2f s/GB\n", c.name, f.up, f.down, f.idle, f.load, f.cpu)
	}
	return t.String()
}
