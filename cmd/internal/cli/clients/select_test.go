package clients

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/mgmt/client"
)

var sample = []client.StatusClient{
	{CommonName: "lab-two", RealAddress: "192.0.2.8:40000", VirtualAddress: "10.8.0.3", ClientID: "10", BytesSent: 5_000_000, BytesReceived: 10, ConnectedSince: time.Now().Add(-2 * time.Hour)},
	{CommonName: "lab-one", RealAddress: "udp4:192.0.2.7:40000", VirtualAddress: "10.8.0.2", VirtualIPv6: "fd00::2", ClientID: "2", BytesSent: 7, Username: "joe", ConnectedSince: time.Now().Add(-time.Minute)},
	{CommonName: "2", RealAddress: "[2001:db8::1]:40000", ClientID: "3", BytesSent: 800_000, ConnectedSince: time.Now().Add(-72 * time.Hour)},
	{CommonName: "", RealAddress: "192.0.2.9:40000", ClientID: "4"},
}

func names(all []client.StatusClient) string {
	var n []string
	for _, c := range all {
		n = append(n, c.ClientID)
	}
	return strings.Join(n, " ")
}

func TestSelection(t *testing.T) {
	for _, tt := range []struct {
		sort    string
		filters []string
		want    string
	}{
		{"", nil, "10 2 3 4"},
		{"sent", nil, "10 3 2 4"},
		{"-sent", nil, "4 2 3 10"},
		{"cid", nil, "2 3 4 10"},
		{"name", nil, "4 3 2 10"},
		{"", []string{"lab-*"}, "10 2"},
		{"", []string{"name=lab-*", "sent>1MB"}, "10"},
		{"", []string{"name!=lab-*"}, "3 4"},
		{"", []string{"sent<10"}, "2 4"},
		{"", []string{"since<1h"}, "2"},
		{"", []string{"since>1d", "since<10d"}, "3"},
		{"", []string{"user=joe"}, "2"},
		{"", []string{"user="}, "10 3 4"},
		{"", []string{"virtual=10.8.0.2*"}, "2"},
	} {
		s, err := NewSelection(tt.sort, tt.filters)
		if err != nil {
			t.Errorf("%q %q: %v", tt.sort, tt.filters, err)
			continue
		}
		if diff := cmp.Diff(tt.want, names(s.Apply(sample))); diff != "" {
			t.Errorf("%q %q (-want +got):\n%s", tt.sort, tt.filters, diff)
		}
	}
	for _, bad := range []string{"x=y", "name>3", "sent>many", "name!3", "name=[", "since<soon"} {
		if _, err := NewSelection("", []string{bad}); err == nil {
			t.Errorf("filter %q was taken", bad)
		}
	}
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct{ pattern, by, want string }{
		{"lab-one", ByAny, "2"},
		{"lab-*", ByAny, "10 2"},
		{"2", ByAny, "2 3"}, // a CID and a name
		{"2", ByCID, "2"},
		{"2", ByName, "3"},
		{"192.0.2.8", ByAny, "10"},
		{"192.0.2.8:40000", ByAny, "10"},
		{"192.0.2.7", ByAny, "2"},
		{"192.0.2.*", ByAddress, "10 2 4"},
		{"2001:db8::1", ByAny, "3"},
		{"fd00::2", ByAny, "2"},
		{"10.8.0.3", ByName, ""},
		{"*", ByName, "10 2 3"}, // a client without a name has none that fits
		{"", ByAny, ""},
	} {
		got, err := Match(sample, tt.pattern, tt.by)
		if diff := cmp.Diff(tt.want, names(got)); diff != "" || err != nil {
			t.Errorf("%q by %s: %v (-want +got):\n%s", tt.pattern, tt.by, err, diff)
		}
	}
}
