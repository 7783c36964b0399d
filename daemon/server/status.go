package server

import (
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
)

// clientRow is a client as `status` shows it, in values that cost nothing to copy: the hub copies, others format.
type clientRow struct {
	commonName         string
	real               outer
	virtual4, virtual6 netip.Addr // invalid: none
	received, sent     uint64     // bytes on the link
	since              time.Time
	username           string
	cid                uint64
	peerID             uint32
	cipher             string
}

// routeRow is a route to a client as `status` shows it.
type routeRow struct {
	virtual    netip.Prefix
	own        bool   // it is the client's own address
	station    string // of a MAC address, instead of virtual
	commonName string
	real       outer
	lastRef    time.Time
}

// snapshot is everything a status report needs, taken at one moment.
type snapshot struct {
	title    string
	now      time.Time
	clients  []clientRow
	order    []*clientRow // the clients by age
	routes   []routeRow
	maxQueue int // longest broadcast queue so far, packets
}

// Bytes a row takes at most in the usual case, to make room for a report at once.
const (
	clientRoom = 160
	routeRoom  = 112
)

// write renders the report in layout 1, 2 or 3, with a final END line. Lines end in LF.
//
// Rule: docs/protocol.md#86-the-status-file.
func (s *snapshot) write(w io.Writer, version int) error {
	b := report{b: make([]byte, 0, 1024+clientRoom*len(s.clients)+routeRoom*len(s.routes)), sep: ','}
	switch version {
	case 2:
		s.tabular(&b)
	case 3:
		b.sep = '\t'
		s.tabular(&b)
	default:
		s.plain(&b)
	}
	b.row("END")
	_, err := w.Write(b.b)
	return err
}

func (s *snapshot) plain(b *report) {
	b.row("OpenVPN CLIENT LIST")
	b.row("Updated", s.now.Format(mgmt.StatusTime))
	b.row("Common Name", "Real Address", "Bytes Received", "Bytes Sent", "Connected Since")
	for _, c := range s.order {
		b.text(undef(c.commonName))
		b.real(c.real)
		b.number(c.received)
		b.number(c.sent)
		b.time(c.since)
		b.end()
	}
	b.row("ROUTING TABLE")
	b.row("Virtual Address", "Common Name", "Real Address", "Last Ref")
	for i := range s.routes {
		b.route(&s.routes[i])
		b.end()
	}
	b.row("GLOBAL STATS")
	b.row("Max bcast/mcast queue length", strconv.Itoa(s.maxQueue))
}

func (s *snapshot) tabular(b *report) {
	b.row("TITLE", s.title)
	b.row("TIME", s.now.Format(mgmt.StatusTime), strconv.FormatInt(s.now.Unix(), 10))
	b.row(append([]string{"HEADER", "CLIENT_LIST"}, mgmt.StatusColumns[mgmt.StatusClient]()...)...)
	for _, c := range s.order {
		b.text("CLIENT_LIST")
		b.text(undef(c.commonName))
		b.real(c.real)
		b.addr(c.virtual4)
		b.addr(c.virtual6)
		b.number(c.received)
		b.number(c.sent)
		b.time(c.since)
		b.number(uint64(c.since.Unix()))
		b.text(undef(c.username))
		b.number(c.cid)
		b.number(uint64(c.peerID))
		b.text(c.cipher)
		b.end()
	}
	b.row(append([]string{"HEADER", "ROUTING_TABLE"}, mgmt.StatusColumns[mgmt.StatusRoute]()...)...)
	for i := range s.routes {
		b.text("ROUTING_TABLE")
		b.route(&s.routes[i])
		b.number(uint64(s.routes[i].lastRef.Unix()))
		b.end()
	}
	b.row("GLOBAL_STATS", "Max bcast/mcast queue length", strconv.Itoa(s.maxQueue))
	b.row("GLOBAL_STATS", "dco_enabled", "0")
}

// report collects rows. Each field is written with a separator behind it, the last of which end replaces.
type report struct {
	b   []byte
	sep byte

	second int64 // of stamp
	stamp  [len(mgmt.StatusTime)]byte
}

func (b *report) row(fields ...string) {
	for _, f := range fields {
		b.text(f)
	}
	b.end()
}

func (b *report) end() { b.b[len(b.b)-1] = '\n' }

func (b *report) text(s string) { b.b = append(mgmt.AppendText(b.b, s), b.sep) }

func (b *report) number(n uint64) { b.b = append(strconv.AppendUint(b.b, n, 10), b.sep) }

// addr writes an address, nothing for an invalid one.
func (b *report) addr(a netip.Addr) {
	if a.IsValid() {
		b.b = a.AppendTo(b.b)
	}
	b.b = append(b.b, b.sep)
}

func (b *report) real(o outer) { b.b = append(o.appendTo(b.b), b.sep) }

// route writes the fields that all layouts have.
func (b *report) route(r *routeRow) {
	switch {
	case r.station != "":
		b.text(r.station)
	case r.own:
		b.addr(r.virtual.Addr())
	default:
		b.b = append(r.virtual.AppendTo(b.b), b.sep)
	}
	b.text(undef(r.commonName))
	b.real(r.real)
	b.time(r.lastRef)
}

// time writes a time. Many rows share a second, and formatting is most of the work of a row.
func (b *report) time(t time.Time) {
	if s := t.Unix(); s != b.second || b.stamp[0] == 0 {
		b.second = s
		t.AppendFormat(b.stamp[:0], mgmt.StatusTime)
	}
	b.b = append(append(b.b, b.stamp[:]...), b.sep)
}

// undef returns a name, or stock's text for one that is not known yet.
func undef(s string) string {
	if s == "" {
		return "UNDEF"
	}
	return s
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }
