package config

import (
	"strings"
	"testing"
)

// The figures are those in stock's complaint about a length of 65535.
func TestMaxFrame(t *testing.T) {
	for _, tt := range []struct {
		args string
		want int
	}{
		{"--dev tun", 1768},
		{"--dev tun --tun-mtu 9000", 9168},
		{"--dev tap", 1800},
		{"--dev tun --tun-mtu 1400", 1768},
		{"--dev tun --max-packet-size 2000", 2168},
		{"--dev tun --tun-mtu-max 4000", 4168},
	} {
		o, err := Parse(append([]string{"--proto", "tcp-client", "--remote", "192.0.2.1", "--client", "--ca", "/dev/null", "--cert", "/dev/null", "--key", "/dev/null"}, strings.Fields(tt.args)...), Env{})
		if err != nil {
			t.Fatalf("%s: %v", tt.args, err)
		}
		if got := o.Connections[0].MaxFrame(); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.args, got, tt.want)
		}
	}
}
