package config

import (
	"net"
	"net/url"
	"strings"
)

// Journal is where events are kept, and handed on to. The zero value is nowhere; an extension of ours.
type Journal struct {
	Dir     string
	Syslog  bool
	Webhook string // URL, "" for none
	Secret  Source // signs what the webhook gets: the first line

	NATS            string // addresses of servers, "" for none
	NATSSubject     string
	NATSCredentials string // a file, "" for none
}

// natsSink reads URL, SUBJECT and a file of credentials. Events go over TLS, or to this machine.
func natsSink(p *parser, a []string) error {
	u, err := url.Parse(a[0])
	if err != nil || u.Host == "" || u.Scheme != "nats" && u.Scheme != "tls" {
		return errorf("--journal-nats: want an address such as tls://nats.example.com:4222")
	}
	if u.Scheme == "nats" && !loopback(u.Hostname()) {
		return errorf("--journal-nats: nats is for servers of this machine; use tls://%s", u.Host)
	}
	if u.User != nil {
		return errorf("--journal-nats: no password in the address: give a file of credentials behind the subject")
	}
	if a[1] == "" || strings.ContainsAny(a[1], " *>\t\r\n") || strings.HasPrefix(a[1], "$") || strings.HasPrefix(a[1], ".") || strings.HasSuffix(a[1], ".") || strings.Contains(a[1], "..") {
		return errorf("--journal-nats: %s is no subject to publish to, such as vpn.events", a[1])
	}
	j := &p.o.Journal
	j.NATS, j.NATSSubject, j.NATSCredentials = a[0], a[1], ""
	if len(a) > 2 {
		j.NATSCredentials = a[2]
	}
	return nil
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
