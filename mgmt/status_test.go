package mgmt_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/mgmt"
)

// A row is written and read by the same tags; a column that is missing leaves its field empty.
func TestStatusRows(t *testing.T) {
	row := mgmt.StatusClient{
		RealAddress: "192.0.2.1:1194", VirtualIPv6: "fd00::2", BytesReceived: 1, BytesSent: 1<<64 - 1, ConnectedSince: time.Unix(1795480816, 0),
		Username: "joe", ClientID: "4", Cipher: "AES-256-GCM",
	}
	columns, values := mgmt.StatusColumns[mgmt.StatusClient](), mgmt.StatusValues(row)
	if len(columns) != len(values) {
		t.Fatalf("%d columns, %d values", len(columns), len(values))
	}
	cells := make(map[string]string)
	for i, c := range columns {
		cells[c] = values[i]
	}
	if cells["Common Name"] != "UNDEF" || cells["Connected Since (time_t)"] != "1795480816" {
		t.Errorf("cells %v", cells)
	}
	slices.Reverse(columns) // columns are found by their names
	slices.Reverse(values)
	layout := mgmt.NewStatusLayout[mgmt.StatusClient](append(columns, "A new column"))
	var got mgmt.StatusClient
	layout.Parse(append([]string{"CLIENT_LIST"}, values...), &got)
	if diff := cmp.Diff(row, got); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
	for _, l := range []mgmt.StatusLayout[mgmt.StatusClient]{{}, mgmt.NewStatusLayout[mgmt.StatusClient](nil), layout} {
		got = mgmt.StatusClient{}
		if l.Parse([]string{"CLIENT_LIST"}, &got); got != (mgmt.StatusClient{}) {
			t.Errorf("of nothing %+v", got)
		}
	}
	fields := maps.Collect(mgmt.StatusFields(row))
	if _, known := fields["peer_id"]; known || fields["cid"] != uint64(4) || fields["connected_since"] != uint64(1795480816) || fields["username"] != "joe" {
		t.Errorf("for scripts %v", fields)
	}
}
