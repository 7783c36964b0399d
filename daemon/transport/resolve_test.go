package transport_test

import (
	"context"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/transport"
)

// An address has each form that the C library takes, as `getent ahostsv4 FORM` prints it, and with it stock wherever it looks a name up.
func TestFormsOfAddresses(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // what is no address would be looked up, and no answer comes
	for _, tt := range []struct{ form, want string }{
		{"10.8.0.77", "10.8.0.77"}, {"10.8.77", "10.8.0.77"}, {"10.520", "10.0.2.8"}, {"167837701", "10.1.0.5"}, {"0x0a080005", "10.8.0.5"},
		{"0X0A.8.0.5", "10.8.0.5"}, {"010.8.0.5", "8.8.0.5"}, {"10.8.0.05", "10.8.0.5"}, {"10.8.0.0x5", "10.8.0.5"}, {"127.1", "127.0.0.1"},
		{"0", "0.0.0.0"}, {"1", "0.0.0.1"}, {"4294967295", "255.255.255.255"}, {"10.16777215", "10.255.255.255"}, {"00.0.0.0", "0.0.0.0"},
		{"4294967296", ""}, {"10.16777216", ""}, {"10.8.65536", ""}, {"10.8.0.256", ""}, {"256.1", ""}, {"10.8.0.1.2", ""}, {"10..8", ""}, {".", ""}, {"10.", ""},
		{"0x", ""}, {"08.1", ""}, {"+1", ""}, {"-1", ""}, {"1_0", ""}, {"0b1", ""}, {"0o7", ""}, {"1x", ""}, {"0x1g", ""},
	} {
		got := ""
		if addrs, err := transport.Resolve(ctx, tt.form, transport.FamilyIPv4); err == nil && len(addrs) == 1 {
			got = addrs[0].String()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.form, got, tt.want)
		}
		if addrs, err := transport.Resolve(ctx, tt.form, transport.FamilyIPv6); err == nil {
			t.Errorf("%s is %v for IPv6", tt.form, addrs)
		}
	}
}
