package config

import (
	"net"
	"net/url"
)

// Journal is where events are kept, and handed on to. The zero value is nowhere; an extension of ours.
type Journal struct {
	Dir     string
	Syslog  bool
	Webhook string // URL, "" for none
	Secret  Source // signs what the webhook gets: the first line
}

// webhook reads URL and, behind it, the file with the secret. Events go over https, or to this machine.
func webhook(p *parser, a []string) error {
	u, err := url.Parse(a[0])
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errorf("--journal-webhook: want an address such as https://log.example.com/vpn")
	}
	if host := u.Hostname(); u.Scheme == "http" && !loopback(host) {
		return errorf("--journal-webhook: http is for services of this machine; use https with %s", net.JoinHostPort(host, "443"))
	}
	if u.User != nil {
		return errorf("--journal-webhook: no password in the address: give the file of a secret behind it, which signs the events")
	}
	p.o.Journal.Webhook = a[0]
	if len(a) > 1 {
		p.o.Journal.Secret = Source{Path: a[1]}
	}
	return nil
}
