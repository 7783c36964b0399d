//go:build linux

package test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What varies in a status file: times, ports, byte counts and the title.
var (
	statusTimes = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d([,\t]\d{10})?`)
	statusPort  = regexp.MustCompile(`(10\.99\.0\.2):\d+`)
	statusBytes = regexp.MustCompile(`([,\t])\d+([,\t])\d+([,\t]TIME)`)
	statusQueue = regexp.MustCompile(`(queue length[,\t])\d+`) // by what the client's system has sent to all
	statusTitle = regexp.MustCompile(`(?m)^TITLE.*`)
	// An IPv6 route right before an IPv4 one.
	statusRoutes = regexp.MustCompile(`(?m)^((?:ROUTING_TABLE[,\t])?fd08::1000.*\n)((?:ROUTING_TABLE[,\t])?10\.8\.0\.2.*\n)`)
)

// The status file in its three layouts and the pool's file read as those of the stock server.
func TestServerFilesLikeStock(t *testing.T) {
	t.Parallel()
	for version := 1; version <= 3; version++ {
		t.Run(fmt.Sprint("status-version ", version), func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			life := func(start starter) string {
				t.Helper()
				status, pool := l.file("status"), l.file("pool")
				s := start(t, l.server, l.serverArgs("--server-ipv6", "fd08::/64", "--status", status, "1", "--status-version", fmt.Sprint(version), "--ifconfig-pool-persist", pool))
				s.WaitLine(t, up, upLimit)
				c := l.stockClient(t)
				await(t, "the client is in the status file", upLimit, func() bool {
					text := fileText(status)
					return strings.Count(text, "fd08::1000") > 0 && strings.HasSuffix(text, "END\n")
				})
				text := fileText(status)
				info, err := os.Stat(status)
				if err != nil {
					t.Fatal(err)
				}
				terminate(t, c)
				terminate(t, s)
				text = statusTimes.ReplaceAllString(text, "TIME")
				text = statusPort.ReplaceAllString(text, "$1:PORT")
				text = statusBytes.ReplaceAllString(text, "${1}N${2}N$3")
				text = statusQueue.ReplaceAllString(text, "${1}N")
				text = statusTitle.ReplaceAllString(text, "TITLE")
				text = statusRoutes.ReplaceAllString(text, "$2$1") // stock lists routes in no particular order
				text += info.Mode().String() + "\n" + fileText(pool)
				for _, path := range []string{status, pool} {
					_ = os.Remove(path)
				}
				return text
			}
			want, got := life(stock), life(ours)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("files (-stock +ours):\n%s", diff)
			}
		})
	}
}
