package config

import (
	"net"
	"net/netip"
	"strings"
)

// Metrics is where Prometheus may ask. The zero value is nowhere.
type Metrics struct {
	Host, Port string
	Unix       string // path of a socket; Host and Port are empty
	Clients    string // series for each client: "" for none, "hash" or "name"
	Public     bool   // Host may be reached from elsewhere
}

// Set reports whether there is an address.
func (m Metrics) Set() bool { return m.Unix != "" || m.Port != "" }

// loopback reports whether a host is this machine, and reached from it alone.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// metrics reads ADDRESS:PORT or a path, and words behind it.
func metrics(p *parser, a []string) error {
	var m Metrics
	for _, word := range a[1:] {
		switch word {
		case "clients-hash", "clients-name":
			m.Clients = strings.TrimPrefix(word, "clients-")
		case "public":
			m.Public = true
		default:
			return errorf("--metrics: %s: want clients-hash, clients-name or public", word)
		}
	}
	if path, ok := strings.CutPrefix(a[0], "unix:"); ok || strings.Contains(a[0], "/") {
		if path == "" {
			return errorf("--metrics: want a path after unix:")
		}
		m.Unix = path
		p.o.Metrics = m
		return nil
	}
	host, port, err := net.SplitHostPort(a[0])
	if err != nil || port == "" {
		return errorf("--metrics %s: want ADDRESS:PORT, such as 127.0.0.1:9176, or the path of a socket", a[0])
	}
	if !loopback(host) && !m.Public {
		return errorf("--metrics %s: this is no loopback address, and no password is asked; use 127.0.0.1, a socket, or the word public behind it if a firewall stands before it", a[0])
	}
	m.Host, m.Port = host, port
	p.o.Metrics = m
	return nil
}
