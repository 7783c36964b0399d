package server

import (
	"bufio"
	"io"
	"strconv"
	"time"
)

// clientRow is a client as `status` shows it.
type clientRow struct {
	commonName, real, virtual4, virtual6 string
	received, sent                       uint64 // bytes on the link
	since                                time.Time
	username                             string
	cid                                  uint64
	peerID                               uint32
	cipher                               string
}

// routeRow is an address that leads to a client as `status` shows it.
type routeRow struct {
	virtual, commonName, real string
	lastRef                   time.Time
}

// snapshot is everything a status report needs, taken at one moment.
type snapshot struct {
	title    string
	now      time.Time
	clients  []clientRow
	routes   []routeRow
	maxQueue int // longest broadcast queue so far, packets
}

// statusTime is the layout of times in reports, local time.
const statusTime = "2006-01-02 15:04:05"

// write renders the report in layout 1, 2 or 3, with a final END line. Lines end in LF.
//
// Rule: management notes, "status output"; options notes, "status file".
func (s *snapshot) write(w io.Writer, version int) error {
	b := report{Writer: bufio.NewWriterSize(w, 64<<10), sep: ','}
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
	return b.Flush()
}

func (s *snapshot) plain(b *report) {
	b.row("OpenVPN CLIENT LIST")
	b.row("Updated", s.now.Format(statusTime))
	b.row("Common Name", "Real Address", "Bytes Received", "Bytes Sent", "Connected Since")
	for i := range s.clients {
		c := &s.clients[i]
		b.row(undef(c.commonName), c.real, number(c.received), number(c.sent), c.since.Format(statusTime))
	}
	b.row("ROUTING TABLE")
	b.row("Virtual Address", "Common Name", "Real Address", "Last Ref")
	for i := range s.routes {
		r := &s.routes[i]
		b.row(r.virtual, undef(r.commonName), r.real, r.lastRef.Format(statusTime))
	}
	b.row("GLOBAL STATS")
	b.row("Max bcast/mcast queue length", strconv.Itoa(s.maxQueue))
}

func (s *snapshot) tabular(b *report) {
	b.row("TITLE", s.title)
	b.row("TIME", s.now.Format(statusTime), number(uint64(s.now.Unix())))
	b.row("HEADER", "CLIENT_LIST", "Common Name", "Real Address", "Virtual Address", "Virtual IPv6 Address", "Bytes Received", "Bytes Sent",
		"Connected Since", "Connected Since (time_t)", "Username", "Client ID", "Peer ID", "Data Channel Cipher")
	for i := range s.clients {
		c := &s.clients[i]
		b.row("CLIENT_LIST", undef(c.commonName), c.real, c.virtual4, c.virtual6, number(c.received), number(c.sent),
			c.since.Format(statusTime), number(uint64(c.since.Unix())), undef(c.username), number(c.cid), number(uint64(c.peerID)), c.cipher)
	}
	b.row("HEADER", "ROUTING_TABLE", "Virtual Address", "Common Name", "Real Address", "Last Ref", "Last Ref (time_t)")
	for i := range s.routes {
		r := &s.routes[i]
		b.row("ROUTING_TABLE", r.virtual, undef(r.commonName), r.real, r.lastRef.Format(statusTime), number(uint64(r.lastRef.Unix())))
	}
	b.row("GLOBAL_STATS", "Max bcast/mcast queue length", strconv.Itoa(s.maxQueue))
	b.row("GLOBAL_STATS", "dco_enabled", "0")
}

// report writes rows; errors wait in the bufio.Writer for Flush.
type report struct {
	*bufio.Writer
	sep byte
}

func (b *report) row(fields ...string) {
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(b.sep)
		}
		b.WriteString(f)
	}
	b.WriteByte('\n')
}

// undef is what reports show for a name that is not known yet.
func undef(s string) string {
	if s == "" {
		return "UNDEF"
	}
	return s
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }
