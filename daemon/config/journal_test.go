package config

import (
	"strings"
	"testing"
)

func TestJournalWebhookOption(t *testing.T) {
	for _, tt := range []struct{ args, err string }{
		{args: "https://log.example.com/vpn"},
		{args: "https://log.example.com/vpn secret.txt"},
		{args: "http://127.0.0.1:8000/"},
		{args: "http://[::1]:8000/"},
		{args: "http://localhost/x"},
		{args: "http://log.example.com/vpn", err: "use https"},
		{args: "http://192.0.2.1/", err: "use https"},
		{args: "https://user:pw@log.example.com/", err: "no password in the address"},
		{args: "log.example.com/vpn", err: "want an address"},
		{args: "ftp://log.example.com/", err: "want an address"},
		{args: "https://", err: "want an address"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			o, err := Parse(append([]string{"--dev", "tun", "--remote", "192.0.2.1", "--secret", "/dev/null", "--allow-deprecated-insecure-static-crypto", "--journal-webhook"}, strings.Fields(tt.args)...), Env{})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			words := strings.Fields(tt.args)
			if err != nil || o.Journal.Webhook != words[0] || o.Journal.Secret.Set() != (len(words) > 1) {
				t.Errorf("%+v, %v", o, err)
			}
		})
	}
}

func TestJournalNATSOption(t *testing.T) {
	for line, ok := range map[string]bool{
		"tls://nats.example.com:4222 vpn.events": true, "nats://127.0.0.1:4222 vpn.events /x.creds": true, "nats://[::1] a": true,
		"nats://nats.example.com a": false, "http://127.0.0.1 a": false, "tls:// a": false, "tls://u:p@nats.example.com a": false,
		"tls://nats.example.com a.*": false, "tls://nats.example.com >": false, "tls://nats.example.com a..b": false, "tls://nats.example.com $SYS.x": false,
		"tls://nats.example.com": false,
	} {
		words := strings.Fields(line)
		o, err := Parse(append([]string{"--dev", "tun", "--remote", "192.0.2.1", "--secret", "/dev/null", "--allow-deprecated-insecure-static-crypto", "--journal-nats"}, words...), Env{})
		if (err == nil) != ok {
			t.Errorf("%s: %v", line, err)
		}
		if ok && err == nil && (o.Journal.NATS != words[0] || o.Journal.NATSSubject != words[1] || (o.Journal.NATSCredentials != "") != (len(words) > 2)) {
			t.Errorf("%s: %+v", line, o.Journal)
		}
	}
}
