package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/mgmt/lexer"
)

// addressAt is which parameters of an option are a host and a port, -1 for none.
var addressAt = map[string]struct{ host, port int }{
	"port": {-1, 0}, "lport": {-1, 0}, "rport": {-1, 0}, "remote": {0, 1}, "local": {0, 1}, "management": {0, 1},
	"http-proxy": {0, 1}, "socks-proxy": {0, 1}, "port-share": {0, 1},
}

// addresses tells hosts and ports that no look-up finds. A daemon finds out when it resolves them, and then mostly tries again for ever.
func (l *linter) addresses() {
	for _, d := range l.read {
		at, ok := addressAt[d.Name]
		if !ok || d.Name == "management" && len(d.Params) > 1 && d.Params[1] == "unix" {
			continue
		}
		wrong := func(word, text string) {
			l.addAt(Finding{File: d.File, Line: d.Line, Rule: RuleSyntax, Text: text}, word)
		}
		if at.host >= 0 && at.host < len(d.Params) {
			if host := d.Params[at.host]; !isHost(host) {
				wrong(host, "'"+host+"' is no address and no name of a host")
			}
		}
		if at.port < len(d.Params) {
			port := d.Params[at.port]
			_, udp := net.LookupPort("udp", port)
			_, tcp := net.LookupPort("tcp", port)
			if udp != nil && tcp != nil {
				wrong(port, "no port and no service has the name '"+port+"'")
			}
		}
	}
}

var (
	hostName   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$`)
	digitsDots = regexp.MustCompile(`^[0-9.]+$`)
)

// isHost reports whether s is an address or may be a name.
func isHost(s string) bool {
	if s == "*" {
		return true
	}
	if digitsDots.MatchString(s) || strings.Contains(s, ":") {
		_, err := netip.ParseAddr(s)
		return err == nil
	}
	return hostName.MatchString(s)
}

// lookAtRoutes tells routes that cannot be set. A daemon starts with them and goes on without.
func lookAtRoutes(o *Options) (found []Problem) {
	for _, r := range o.Routes {
		tell := func(word, format string, args ...any) {
			found = append(found, Problem{Option: "route", Word: word, Finding: Finding{Warning: true, Rule: RuleSyntax, Text: "route: " + fmt.Sprintf(format, args...) + "; the route is left out"}})
		}
		if !isRouteWord(r.Network) && (!isHost(r.Network) || strings.Contains(r.Network, ":")) {
			tell(r.Network, "'%s' is no IPv4 network and no name%s", r.Network, map[bool]string{true: " (route-ipv6 takes IPv6)"}[strings.Contains(r.Network, ":")])
		}
		if r.Netmask != "" && r.Netmask != "default" && !isNetmask(r.Netmask) {
			tell(r.Netmask, "'%s' is no netmask such as 255.255.255.0", r.Netmask)
		}
		if r.Gateway != "" && !isRouteWord(r.Gateway) && (!isHost(r.Gateway) || strings.Contains(r.Gateway, ":")) {
			tell(r.Gateway, "'%s' is no IPv4 address and no name", r.Gateway)
		}
	}
	return found
}

// isNetmask reports whether s is one bits first, as 255.255.255.0.
func isNetmask(s string) bool {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return false
	}
	ones, bits := net.IPMask(a.AsSlice()).Size()
	return bits == 32 || ones > 0
}

// elsewhere are options that clients on other systems take from a server.
var elsewhere = []string{"block-outside-dns", "dhcp-release", "dhcp-renew", "ip-win32", "register-dns", "tap-sleep", "win-sys"}

// lookAtPushes tells what clients will not take of what a server pushes. They start, and leave it out.
func lookAtPushes(o *Options) (found []Problem) {
	for _, entry := range o.Push {
		words, err := lexer.Split(entry, "")
		if err != nil || len(words) == 0 || slices.Contains(elsewhere, words[0]) {
			continue
		}
		name := words[0]
		told := ""
		switch r := table()[name]; {
		case r == nil:
			if near := Nearest(name); near != "" {
				told = "clients know no option " + name + "; did you mean " + near + "?"
			}
		case r.facts&(inPush|inRoutes) == 0:
			told = "clients take no " + name + " from a server"
		default:
			client := defaults(func(string) string { return "" })
			p := &parser{o: client, c: &Connection{}, ctx: pushContext}
			var e *Error
			if err := p.apply(Directive{Name: name, Params: words[1:], File: pushList, Line: 1}); errors.As(err, &e) {
				told = "clients will leave out '" + entry + "': " + e.Text
				if len(words)-1 < r.min || len(words)-1 > r.max {
					told = "clients will leave out '" + entry + "': " + takes(r, len(words)-1)
				}
			}
		}
		if told != "" {
			found = append(found, Problem{Option: "push", Word: entry, Finding: Finding{Warning: true, Rule: RuleSyntax, Text: "push: " + told}})
		}
	}
	return found
}

// Bounds of what is read of client-config-dir.
const (
	clientFiles     = 1000
	clientFileBytes = 1 << 20
)

// lookAtClientFiles tells mistakes in the files of clients. A server passes over such lines.
func lookAtClientFiles(o *Options) (found []Problem) {
	dir := o.Jail.Path(o.ClientConfigDir)
	if dir == "" {
		return nil
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries[:min(len(entries), clientFiles)] {
		path := filepath.Join(dir, e.Name())
		if fi, err := os.Stat(path); err != nil || !fi.Mode().IsRegular() || fi.Size() > clientFileBytes {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		cc := o.NewClientConfig()
		cc.Lookup = func(string) (netip.Addr, error) { return netip.IPv4Unspecified(), nil } // names are looked up when the client comes
		for _, e := range o.ParseClientConfig(cc, path, text) {
			text := e.Text
			if r := table()[e.Option]; strings.HasPrefix(text, unrecognized) {
				if text = unknown(e.Option); r != nil {
					text = e.Option + ": wrong number of parameters: " + takesAny(r)
				}
			}
			found = append(found, Problem{Finding: Finding{File: path, Line: e.Line, Warning: true, Rule: RuleSyntax, Text: text + "; the line is left out"}, Word: e.Word})
		}
	}
	return found
}
