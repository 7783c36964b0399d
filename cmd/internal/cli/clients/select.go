package clients

import (
	"cmp"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/table"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// column is something that a client can be shown, sorted and filtered by.
type column struct {
	name, title string
	text        func(client.StatusClient) string  // for people
	number      func(client.StatusClient) float64 // nil: its text counts
	parse       func(string) (float64, error)     // a number as people write it
	descending  bool                              // the largest first unless asked otherwise
}

// columns in the order of the table. The first ones stay longest on a narrow terminal.
var columns = []column{
	{name: "cid", title: "CID", text: func(c client.StatusClient) string { return table.Or(c.ClientID) }, number: func(c client.StatusClient) float64 { return integer(c.ClientID) }, parse: plain},
	{name: "name", title: "COMMON NAME", text: func(c client.StatusClient) string { return table.Or(c.CommonName) }},
	{name: "real", title: "REAL ADDRESS", text: func(c client.StatusClient) string { return table.Or(c.RealAddress) }},
	{name: "virtual", title: "VIRTUAL ADDRESS", text: func(c client.StatusClient) string {
		return table.Or(strings.TrimSpace(c.VirtualAddress + " " + c.VirtualIPv6))
	}},
	{name: "received", title: "RECEIVED", text: func(c client.StatusClient) string { return table.Bytes(c.BytesReceived) },
		number: func(c client.StatusClient) float64 { return float64(c.BytesReceived) }, parse: size, descending: true},
	{name: "sent", title: "SENT", text: func(c client.StatusClient) string { return table.Bytes(c.BytesSent) },
		number: func(c client.StatusClient) float64 { return float64(c.BytesSent) }, parse: size, descending: true},
	{name: "since", title: "SINCE", text: func(c client.StatusClient) string { return table.Local(c.ConnectedSince) },
		number: func(c client.StatusClient) float64 { return time.Since(c.ConnectedSince).Seconds() }, parse: duration},
	{name: "user", title: "USER", text: func(c client.StatusClient) string { return table.Or(c.Username) }},
	{name: "cipher", title: "CIPHER", text: func(c client.StatusClient) string { return table.Or(c.Cipher) }},
}

// more are columns that are shown only when asked for.
var more = []column{
	{name: "peer", title: "PEER", text: func(c client.StatusClient) string { return table.Or(c.PeerID) }, number: func(c client.StatusClient) float64 { return integer(c.PeerID) }, parse: plain},
}

// columnNames are the words for --columns, --sort and --filter.
func columnNames() []string {
	var names []string
	for _, c := range slices.Concat(columns, more) {
		names = append(names, c.name)
	}
	return names
}

func lookup(name string) (column, error) {
	for _, c := range slices.Concat(columns, more) {
		if c.name == name {
			return c, nil
		}
	}
	return column{}, env.Usagef("column %q: want one of %s", name, strings.Join(columnNames(), ", "))
}

func integer(s string) float64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return -1
	}
	return float64(n)
}

func plain(s string) (float64, error) { return strconv.ParseFloat(s, 64) }

func size(s string) (float64, error) {
	n, err := humanize.ParseBytes(s)
	return float64(n), err
}

func duration(s string) (float64, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		return n * 86400, err
	}
	d, err := time.ParseDuration(s)
	return d.Seconds(), err
}

// Selection is which clients to show, in which order.
type Selection struct {
	sort    column
	reverse bool
	filters []filter
}

// filter is one condition.
type filter struct {
	column column
	op     string // "=", "!=", "<" or ">"
	glob   string
	number float64
}

// NewSelection reads --sort (a column, with - in front for the other direction, "" for the daemon's order) and --filter: COLUMN=GLOB,
// COLUMN!=GLOB, COLUMN>N, COLUMN<N, or a glob for the common name. All filters must hold.
func NewSelection(sort string, filters []string) (Selection, error) {
	var s Selection
	var err error
	if sort != "" {
		name, minus := strings.CutPrefix(sort, "-")
		if s.sort, err = lookup(name); err != nil {
			return s, err
		}
		s.reverse = minus != s.sort.descending
	}
	for _, text := range filters {
		f, err := parseFilter(text)
		if err != nil {
			return s, err
		}
		s.filters = append(s.filters, f)
	}
	return s, nil
}

func parseFilter(text string) (filter, error) {
	at := strings.IndexAny(text, "=<>!")
	if at < 0 {
		text, at = "name="+text, len("name")
	}
	name, op, value := text[:at], text[at:at+1], text[at+1:]
	if op == "!" {
		rest, ok := strings.CutPrefix(value, "=")
		if !ok {
			return filter{}, env.Usagef("filter %q: want COLUMN=GLOB, COLUMN!=GLOB, COLUMN>N or COLUMN<N", text)
		}
		op, value = "!=", rest
	}
	c, err := lookup(name)
	if err != nil {
		return filter{}, err
	}
	f := filter{column: c, op: op, glob: value}
	if op == "<" || op == ">" {
		if c.number == nil {
			return filter{}, env.Usagef("filter %q: %s is no number, use = with a glob", text, c.name)
		}
		if f.number, err = c.parse(value); err != nil {
			return filter{}, env.Usagef("filter %q: %q is no number for %s", text, value, c.name)
		}
		return f, nil
	}
	if _, err := path.Match(value, ""); err != nil {
		return filter{}, env.Usagef("filter %q: %v", text, err)
	}
	return f, nil
}

func (f filter) holds(c client.StatusClient) bool {
	switch f.op {
	case "<":
		return f.column.number(c) < f.number
	case ">":
		return f.column.number(c) > f.number
	}
	text := f.column.text(c)
	if text == "-" {
		text = ""
	}
	ok, _ := path.Match(f.glob, text)
	return ok == (f.op == "=")
}

// Apply returns the clients that are selected, in order: all itself when nothing is asked for. It does not change all.
func (s Selection) Apply(all []client.StatusClient) []client.StatusClient {
	if len(s.filters) == 0 && s.sort.name == "" {
		return all
	}
	out := make([]client.StatusClient, 0, len(all))
	for _, c := range all {
		if !slices.ContainsFunc(s.filters, func(f filter) bool { return !f.holds(c) }) {
			out = append(out, c)
		}
	}
	if s.sort.name == "" {
		return out
	}
	slices.SortStableFunc(out, func(a, b client.StatusClient) int {
		var order int
		if s.sort.number != nil {
			order = cmp.Compare(s.sort.number(a), s.sort.number(b))
		} else {
			order = cmp.Compare(s.sort.text(a), s.sort.text(b))
		}
		if s.reverse {
			return -order
		}
		return order
	})
	return out
}

// What a pattern of Match may be compared with.
const (
	ByAny     = "any"
	ByName    = "name"
	ByCID     = "cid"
	ByUser    = "user"
	ByAddress = "address"
)

// Match returns the clients that pattern means: its CID, or a glob for its common name, its real address with or without port, or one of
// its virtual addresses; by narrows it to one of these.
func Match(all []client.StatusClient, pattern, by string) ([]client.StatusClient, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, env.Usagef("pattern %q: %v", pattern, err)
	}
	var hit []client.StatusClient
	for _, c := range all {
		var texts []string
		if by == ByAny || by == ByName {
			texts = append(texts, c.CommonName)
		}
		if by == ByAny || by == ByAddress {
			texts = append(texts, c.RealAddress, host(c.RealAddress), c.VirtualAddress, c.VirtualIPv6)
		}
		if by == ByUser {
			texts = append(texts, c.Username)
		}
		ok := (by == ByAny || by == ByCID) && c.ClientID != "" && c.ClientID == pattern
		for _, t := range texts {
			if m, _ := path.Match(pattern, t); m && t != "" {
				ok = true
			}
		}
		if ok {
			hit = append(hit, c)
		}
	}
	return hit, nil
}

// host is the address of a real address, which may have a protocol in front and a port behind.
func host(real string) string {
	if i := strings.Index(real, ":"); i > 0 && (strings.HasPrefix(real, "udp") || strings.HasPrefix(real, "tcp")) {
		real = real[i+1:]
	}
	if a, err := netip.ParseAddrPort(real); err == nil {
		return a.Addr().String()
	}
	return real
}

// Table is the text of a table of clients, with the columns named or the usual ones.
func Table(rows []client.StatusClient, names []string, width int) (string, error) {
	shown := columns
	if len(names) > 0 {
		shown = nil
		for _, n := range names {
			c, err := lookup(n)
			if err != nil {
				return "", err
			}
			shown = append(shown, c)
		}
	}
	var head []string
	for _, c := range shown {
		head = append(head, c.title)
	}
	var cells [][]string
	for _, r := range rows {
		var row []string
		for _, c := range shown {
			row = append(row, c.text(r))
		}
		cells = append(cells, row)
	}
	return table.Lines(head, cells, width), nil
}

// notServer is the error of a question about clients to a daemon that is none.
func notServer() error { return fmt.Errorf("%w: this daemon is not a server", env.ErrCondition) }

// List asks a daemon for its clients. A daemon that is no server is env.ErrCondition.
func List(s client.Status) ([]client.StatusClient, error) {
	if !s.Server {
		return nil, notServer()
	}
	return s.Clients, nil
}
