package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestListeners(t *testing.T) {
	server := "dev tun\nmode server\ntls-server\nca x\ncert x\nkey x\ndh none\n"
	for _, tt := range []struct {
		name, lines string
		want        []Listener
		fails       bool
	}{
		{name: "none", want: []Listener{{"", "1194", ProtoUDP}}},
		{name: "one", lines: "local 192.0.2.1\nport 443\nproto tcp", want: []Listener{{"192.0.2.1", "443", ProtoTCPServer}}},
		{name: "port and protocol", lines: "local 192.0.2.1 443 tcp\nproto udp", want: []Listener{{"192.0.2.1", "443", ProtoTCPServer}}},
		{name: "several", lines: "local 192.0.2.1\nlocal * 443 tcp4\nlocal ::1 1 udp6\nport 7", want: []Listener{{"192.0.2.1", "7", ProtoUDP}, {"", "443", ProtoTCP4Server}, {"::1", "1", ProtoUDP6}}},
		{name: "the same twice", lines: "local 192.0.2.1\nlocal 192.0.2.1 1194", want: []Listener{{"192.0.2.1", "1194", ProtoUDP}}},
		{name: "an unknown protocol", lines: "local 192.0.2.1 443 sctp", fails: true},
		{name: "a client's protocol", lines: "local 192.0.2.1 443 tcp-client", fails: true},
		{name: "exit notices of the UDP listener", lines: "local * 443 tcp\nlocal * 1194 udp\nexplicit-exit-notify 1", want: []Listener{{"", "443", ProtoTCPServer}, {"", "1194", ProtoUDP}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, err := parse(t, server+tt.lines)
			if (err != nil) != tt.fails {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				return
			}
			c := o.Connections[0]
			if diff := cmp.Diff(tt.want, c.Listeners); diff != "" {
				t.Error(diff)
			}
			if first := (Listener{c.Local, c.LocalPort, c.Proto}); first != tt.want[0] {
				t.Errorf("the profile is %v", first)
			}
		})
	}
}
