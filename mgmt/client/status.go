package client

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
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

// Rows of the client list and of the routing table.
type (
	StatusClient = mgmt.StatusClient
	StatusRoute  = mgmt.StatusRoute
)

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
	rows := func(kind string) (n int) {
		for _, l := range lines {
			if strings.HasPrefix(l, kind+sep) {
				n++
			}
		}
		return n
	}
	s := Status{Server: true}
	s.Clients, s.Routes = slices.Grow(s.Clients, rows("CLIENT_LIST")), slices.Grow(s.Routes, rows("ROUTING_TABLE"))
	var clients mgmt.StatusLayout[StatusClient]
	var routes mgmt.StatusLayout[StatusRoute]
	var f []string // of one line at a time: a report has thousands
	for _, l := range lines {
		f = f[:0]
		for field := range strings.SplitSeq(l, sep) {
			f = append(f, field)
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
			switch f[1] {
			case "CLIENT_LIST":
				clients = mgmt.NewStatusLayout[StatusClient](f[2:])
			case "ROUTING_TABLE":
				routes = mgmt.NewStatusLayout[StatusRoute](f[2:])
			}
		case "CLIENT_LIST":
			s.Clients = append(s.Clients, StatusClient{})
			clients.Parse(f, &s.Clients[len(s.Clients)-1])
		case "ROUTING_TABLE":
			s.Routes = append(s.Routes, StatusRoute{})
			routes.Parse(f, &s.Routes[len(s.Routes)-1])
		case "GLOBAL_STATS":
			if len(f) > 2 {
				n, _ := strconv.ParseUint(f[2], 10, 64)
				s.Global = append(s.Global, Counter{f[1], n})
			}
		}
	}
	return s, nil
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

// Counter returns a client's counter, or a global number of a server, by name; 0 when there is none.
func (s Status) Counter(name string) uint64 {
	for _, c := range slices.Concat(s.Counters, s.Global) {
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
