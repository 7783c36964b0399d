package client

import (
	"fmt"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
)

// A report of 1,000 clients and as many routes, as a monitor reads it every few seconds.
func BenchmarkParseStatus(b *testing.B) {
	lines := []string{"TITLE\tOpenVPN 2.6.14", "TIME\t2026-11-29 12:00:00\t1795953600", "HEADER\tCLIENT_LIST"}
	for _, n := range mgmt.StatusColumns[StatusClient]() {
		lines[2] += "\t" + n
	}
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("CLIENT_LIST\tlab-%d\t192.0.2.1:%d\t10.8.0.1\t\t1000\t2000\t2026-11-29 12:00:00\t1795953600\tUNDEF\t%d\t0\tAES-256-GCM", i, i, i))
	}
	routes := "HEADER\tROUTING_TABLE"
	for _, n := range mgmt.StatusColumns[StatusRoute]() {
		routes += "\t" + n
	}
	lines = append(lines, routes)
	for i := range 1000 {
		lines = append(lines, fmt.Sprintf("ROUTING_TABLE\t10.8.0.1\tlab-%d\t192.0.2.1:%d\t2026-11-29 12:00:00\t1795953600", i, i))
	}
	b.ReportAllocs()
	for b.Loop() {
		s, err := ParseStatus(lines)
		if err != nil || len(s.Clients) != 1000 || len(s.Routes) != 1000 || s.Clients[7].ConnectedSince != time.Unix(1795953600, 0) {
			b.Fatal(err, len(s.Clients), len(s.Routes))
		}
	}
}
