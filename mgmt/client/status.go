package client

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Status is the answer to "status": Clients and Routes on a server, Counters on a client.
type Status struct {
	Server  bool
	Title   string
	Updated time.Time

	Clients []StatusClient
	Routes  []StatusRoute
	Global  []Counter // GLOBAL_STATS rows

	Counters []Counter // "TUN/TAP read bytes" and so on, in the daemon's order
}

// Counter is a named number.
type Counter struct {
	Name  string
	Value uint64
}

// StatusClient is one row of the client list. CommonName and Username are "" when the daemon does not know them.
type StatusClient struct {
	CommonName     string
	RealAddress    string
	VirtualAddress string
	VirtualIPv6    string
	BytesReceived  uint64
	BytesSent      uint64
	ConnectedSince time.Time
	Username       string
	ClientID       string
	PeerID         string
	Cipher         string
}

// StatusRoute is one row of the routing table.
type StatusRoute struct {
	VirtualAddress string
	CommonName     string
	RealAddress    string
	LastRef        time.Time
}

// Status asks for the status report, as "status 3", whose separator cannot occur in names.
func (c *Client) Status(ctx context.Context) (Status, error) {
	r, err := c.Cmd(ctx, "status 3")
	if err != nil {
		return Status{}, err
	}
	return ParseStatus(r.Body())
}

// ParseStatus reads the lines of a report without END: a client's statistics, or a server's in format 2 or 3. Columns are found
// by the names in the HEADER rows, so more columns or another order do no harm.
func ParseStatus(lines []string) (Status, error) {
	if len(lines) == 0 {
		return Status{}, fmt.Errorf("%w: empty status report", ErrNotManagement)
	}
	if lines[0] == "OpenVPN STATISTICS" {
		return parseStatistics(lines[1:])
	}
	sep := ""
	if rest, ok := strings.CutPrefix(lines[0], "TITLE"); ok && rest != "" {
		sep = rest[:1]
	}
	if sep != "," && sep != "\t" {
		return Status{}, fmt.Errorf("%w: status report starts with %.40q", ErrNotManagement, lines[0])
	}
	s := Status{Server: true}
	columns := make(map[string]map[string]int)
	for _, l := range lines {
		f := strings.Split(l, sep)
		get := func(name string) string {
			if i, ok := columns[f[0]][name]; ok && i < len(f) {
				return f[i]
			}
			return ""
		}
		switch f[0] {
		case "TITLE":
			s.Title = strings.Join(f[1:], sep)
		case "TIME":
			s.Updated, _ = unixTime(f[len(f)-1])
		case "HEADER":
			if len(f) < 2 {
				continue
			}
			m := make(map[string]int)
			for i, name := range f[2:] {
				m[name] = i + 1
			}
			columns[f[1]] = m
		case "CLIENT_LIST":
			cl := StatusClient{
				CommonName: known(get("Common Name")), RealAddress: get("Real Address"),
				VirtualAddress: get("Virtual Address"), VirtualIPv6: get("Virtual IPv6 Address"),
				Username: known(get("Username")), ClientID: get("Client ID"), PeerID: get("Peer ID"),
				Cipher: get("Data Channel Cipher"),
			}
			cl.BytesReceived, _ = strconv.ParseUint(get("Bytes Received"), 10, 64)
			cl.BytesSent, _ = strconv.ParseUint(get("Bytes Sent"), 10, 64)
			cl.ConnectedSince, _ = unixTime(get("Connected Since (time_t)"))
			s.Clients = append(s.Clients, cl)
		case "ROUTING_TABLE":
			r := StatusRoute{VirtualAddress: get("Virtual Address"), CommonName: known(get("Common Name")), RealAddress: get("Real Address")}
			r.LastRef, _ = unixTime(get("Last Ref (time_t)"))
			s.Routes = append(s.Routes, r)
		case "GLOBAL_STATS":
			if len(f) > 2 {
				n, _ := strconv.ParseUint(f[2], 10, 64)
				s.Global = append(s.Global, Counter{f[1], n})
			}
		}
	}
	return s, nil
}

// known maps the daemon's word for an unknown name to "".
func known(s string) string {
	if s == "UNDEF" {
		return ""
	}
	return s
}

func parseStatistics(lines []string) (Status, error) {
	s := Status{Title: "OpenVPN STATISTICS"}
	for _, l := range lines {
		name, value, ok := strings.Cut(l, ",")
		if !ok {
			continue
		}
		if name == "Updated" {
			s.Updated, _ = time.ParseInLocation(time.DateTime, value, time.Local)
			continue
		}
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return s, fmt.Errorf("%w: status row %.60q", ErrNotManagement, l)
		}
		s.Counters = append(s.Counters, Counter{name, n})
	}
	return s, nil
}

// Counter returns a client's counter by name.
func (s Status) Counter(name string) uint64 {
	for _, c := range s.Counters {
		if c.Name == name {
			return c.Value
		}
	}
	return 0
}

func unixTime(s string) (time.Time, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("time %q is not a number", s)
	}
	return time.Unix(n, 0), nil
}
