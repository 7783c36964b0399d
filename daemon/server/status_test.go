package server

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStatusLayouts(t *testing.T) {
	at := time.Date(2026, 11, 23, 4, 38, 0, 0, time.Local)
	s := snapshot{
		title: "OpenVPN 2.6.14 x", now: at, maxQueue: 1,
		clients: []clientRow{
			{commonName: "client1", real: outer{at: netip.MustParseAddrPort("10.99.0.2:58533")}, virtual4: netip.MustParseAddr("10.8.0.2"), virtual6: netip.MustParseAddr("fd00:8::1000"), received: 2771, sent: 2998, since: at.Add(-time.Minute), username: "user1", cipher: "AES-256-GCM"},
			{real: outer{at: netip.MustParseAddrPort("10.99.0.3:1")}, cid: 1, peerID: 1, since: at, cipher: "BF-CBC"},
		},
		routes: []routeRow{
			{virtual: netip.MustParsePrefix("10.8.0.2/32"), own: true, commonName: "client1", real: outer{at: netip.MustParseAddrPort("10.99.0.2:58533")}, lastRef: at},
			{virtual: netip.MustParsePrefix("10.53.0.9/32"), commonName: "client1", real: outer{at: netip.MustParseAddrPort("10.99.0.2:58533")}, lastRef: at},
		},
	}
	s.order = []*clientRow{&s.clients[0], &s.clients[1]}
	unix := func(t time.Time) string { return fmt.Sprint(t.Unix()) }
	v2 := strings.Join([]string{
		"TITLE,OpenVPN 2.6.14 x",
		"TIME,2026-11-23 04:38:00," + unix(at),
		"HEADER,CLIENT_LIST,Common Name,Real Address,Virtual Address,Virtual IPv6 Address,Bytes Received,Bytes Sent,Connected Since,Connected Since (time_t),Username,Client ID,Peer ID,Data Channel Cipher",
		"CLIENT_LIST,client1,10.99.0.2:58533,10.8.0.2,fd00:8::1000,2771,2998,2026-11-23 04:37:00," + unix(at.Add(-time.Minute)) + ",user1,0,0,AES-256-GCM",
		"CLIENT_LIST,UNDEF,10.99.0.3:1,,,0,0,2026-11-23 04:38:00," + unix(at) + ",UNDEF,1,1,BF-CBC",
		"HEADER,ROUTING_TABLE,Virtual Address,Common Name,Real Address,Last Ref,Last Ref (time_t)",
		"ROUTING_TABLE,10.8.0.2,client1,10.99.0.2:58533,2026-11-23 04:38:00," + unix(at),
		"ROUTING_TABLE,10.53.0.9/32,client1,10.99.0.2:58533,2026-11-23 04:38:00," + unix(at),
		"GLOBAL_STATS,Max bcast/mcast queue length,1",
		"GLOBAL_STATS,dco_enabled,0",
		"END", "",
	}, "\n")
	want := map[int]string{
		1: strings.Join([]string{
			"OpenVPN CLIENT LIST", "Updated,2026-11-23 04:38:00",
			"Common Name,Real Address,Bytes Received,Bytes Sent,Connected Since",
			"client1,10.99.0.2:58533,2771,2998,2026-11-23 04:37:00",
			"UNDEF,10.99.0.3:1,0,0,2026-11-23 04:38:00",
			"ROUTING TABLE", "Virtual Address,Common Name,Real Address,Last Ref",
			"10.8.0.2,client1,10.99.0.2:58533,2026-11-23 04:38:00",
			"10.53.0.9/32,client1,10.99.0.2:58533,2026-11-23 04:38:00",
			"GLOBAL STATS", "Max bcast/mcast queue length,1", "END", "",
		}, "\n"),
		2: v2,
		3: strings.ReplaceAll(v2, ",", "\t"),
	}
	for version, text := range want {
		var b strings.Builder
		if err := s.write(&b, version); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(text, b.String()); d != "" {
			t.Errorf("version %d: %s", version, d)
		}
	}
}

func BenchmarkStatus10000Clients(b *testing.B) {
	s := snapshot{now: time.Now(), clients: make([]clientRow, 10000), routes: make([]routeRow, 10000), order: make([]*clientRow, 10000)}
	real, virtual := outer{at: netip.MustParseAddrPort("192.0.2.1:1194")}, netip.MustParseAddr("10.8.0.1")
	for i := range s.clients {
		s.clients[i] = clientRow{commonName: "client", real: real, virtual4: virtual, since: s.now, cipher: "AES-256-GCM"}
		s.order[i] = &s.clients[i]
		s.routes[i] = routeRow{virtual: netip.PrefixFrom(virtual, 32), own: true, commonName: "client", real: real, lastRef: s.now}
	}
	for b.Loop() {
		if err := s.write(io.Discard, 3); err != nil {
			b.Fatal(err)
		}
	}
}
