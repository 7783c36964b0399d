package config

import (
	"strings"
	"testing"
)

func TestMetricsOption(t *testing.T) {
	for _, tt := range []struct {
		args string
		want Metrics
		err  string
	}{
		{args: "127.0.0.1:9176", want: Metrics{Host: "127.0.0.1", Port: "9176"}},
		{args: "[::1]:9176 clients-hash", want: Metrics{Host: "::1", Port: "9176", Clients: "hash"}},
		{args: "localhost:9176", want: Metrics{Host: "localhost", Port: "9176"}},
		{args: "/run/m.sock clients-name", want: Metrics{Unix: "/run/m.sock", Clients: "name"}},
		{args: "unix:m.sock", want: Metrics{Unix: "m.sock"}},
		{args: "0.0.0.0:9176 public", want: Metrics{Host: "0.0.0.0", Port: "9176", Public: true}},
		{args: ":9176 public clients-name", want: Metrics{Port: "9176", Public: true, Clients: "name"}},
		{args: "0.0.0.0:9176", err: "no loopback address"},
		{args: ":9176", err: "no loopback address"},
		{args: "[::]:9176", err: "no loopback address"},
		{args: "192.0.2.1:9176", err: "no loopback address"},
		{args: "vpn.example.com:9176", err: "no loopback address"},
		{args: "9176", err: "want ADDRESS:PORT"},
		{args: "127.0.0.1", err: "want ADDRESS:PORT"},
		{args: "unix:", err: "want a path"},
		{args: "127.0.0.1:9176 clients", err: "want clients-hash"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			o, err := Parse(append([]string{"--dev", "tun", "--remote", "192.0.2.1", "--secret", "/dev/null", "--allow-deprecated-insecure-static-crypto", "--metrics"}, strings.Fields(tt.args)...), Env{})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || o.Metrics != tt.want {
				t.Errorf("%+v, %v, want %+v", o, err, tt.want)
			}
		})
	}
}
