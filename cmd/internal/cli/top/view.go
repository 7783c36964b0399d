package top

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/mattn/go-runewidth"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/table"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

const (
	bold    = "\x1b[1m"
	inverse = "\x1b[7m"
	faint   = "\x1b[2m"
	red     = "\x1b[31m"
	green   = "\x1b[32m"
	yellow  = "\x1b[33m"
	reset   = "\x1b[0m"
)

// paint colours a whole line.
func (m *model) paint(colour, s string) string {
	if colour == "" || !m.colour && colour != inverse && colour != bold {
		return s
	}
	return colour + s + reset
}

// lines are the rows of the screen, exactly as many as it has, none wider.
func (m *model) lines() []string {
	v := m.views[m.at]
	out := m.head(v)
	foot := m.foot()
	room := max(0, m.height-len(out)-1)
	var body []string
	switch m.mode {
	case details:
		body = m.details(v)
	case helping:
		body = keys()
	default:
		body = m.body(v, room)
	}
	for len(body) < room {
		body = append(body, "")
	}
	out = append(append(out, body[:room]...), foot)
	for i, l := range out {
		out[i] = ansi.Truncate(l, m.width, "…")
	}
	return out[:min(len(out), m.height)]
}

// head tells what the daemon is and does, in three rows.
func (m *model) head(v *view) []string {
	name := v.target.Name
	if len(m.views) > 1 {
		name = fmt.Sprintf("%s (%d of %d)", name, m.at+1, len(m.views))
	}
	title := m.paint(bold, "moongate top  "+env.Clean(name))
	if v.why != "" {
		return []string{title, m.paint(red, "not connected: "+env.Clean(v.why)), ""}
	}
	s := v.status
	colour := yellow
	if s.State.Name == mgmt.StateConnected && s.State.Detail == mgmt.DetailSuccess {
		colour = green
	}
	state := m.paint(colour, strings.TrimSpace(s.State.Name+" "+s.State.Detail)) + " " + table.Since(s.State.Time, time.Now())
	for _, a := range []string{report.Address(s.State.TunIPv4), report.Address(s.State.TunIPv6)} {
		if a != "" {
			state += "  " + a
		}
	}
	if s.State.Remote.IsValid() {
		state += "  remote " + s.State.Remote.String()
	}
	if s.Cipher != "" {
		state += "  " + s.Cipher
	}
	if s.Server {
		state += fmt.Sprintf("  %d clients", len(s.Clients))
	}
	var now report.Rates
	var spark []float64
	for _, r := range v.rates {
		now = r
		spark = append(spark, r.Received+r.Sent)
	}
	traffic := fmt.Sprintf("in %s (%s)  out %s (%s)  %s", table.Rate(now.Received), table.Bytes(s.Traffic.BytesReceived), table.Rate(now.Sent), table.Bytes(s.Traffic.BytesSent), sparkline(spark, max(10, m.width/4)))
	return []string{title, state, traffic}
}

// sparkline draws the newest values in at most width blocks.
func sparkline(values []float64, width int) string {
	if len(values) > width {
		values = values[len(values)-width:]
	}
	if len(values) == 0 {
		return ""
	}
	top := slices.Max(values)
	blocks := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, v := range values {
		i := 0
		if top > 0 {
			i = int(v / top * float64(len(blocks)-1))
		}
		b.WriteRune(blocks[i])
	}
	return b.String()
}

// page is how many clients fit.
func (m *model) page() int { return max(1, m.height-5-m.eventRows()) }

func (m *model) eventRows() int {
	if !m.events || m.height < 14 {
		return 0
	}
	return max(4, m.height/4)
}

// body is the table of clients over the newest events.
func (m *model) body(v *view, room int) []string {
	n := m.eventRows()
	var out []string
	if v.status.Server {
		out = m.clients(v, room-n)
	} else {
		for _, c := range v.status.Counters {
			out = append(out, fmt.Sprintf("%-32s %12s", c.Name, table.Bytes(c.Value)))
		}
	}
	out = out[:min(len(out), max(0, room-n))]
	for len(out) < room-n {
		out = append(out, "")
	}
	if n == 0 {
		return out
	}
	out = append(out, m.paint(faint, strings.Repeat("─", max(0, m.width))))
	for _, e := range v.events[max(0, len(v.events)-n+1):] {
		out = append(out, m.paint(e.colour, ansi.Truncate(e.text, m.width, "…")))
	}
	return out
}

// column of the table of clients; the ones at the end go first when the screen is narrow.
type column struct {
	title string
	width int
	right bool
	text  func(v *view, c client.StatusClient) string
}

var tableColumns = []column{
	{"NAME", 20, false, func(_ *view, c client.StatusClient) string { return table.Or(c.CommonName) }},
	{"IN/s", 9, true, func(v *view, c client.StatusClient) string { return table.Bytes(uint64(v.perCID[c.ClientID].Received)) }},
	{"OUT/s", 9, true, func(v *view, c client.StatusClient) string { return table.Bytes(uint64(v.perCID[c.ClientID].Sent)) }},
	{"VIRTUAL", 15, false, func(_ *view, c client.StatusClient) string { return table.Or(c.VirtualAddress) }},
	{"SINCE", 8, true, func(_ *view, c client.StatusClient) string { return table.Since(c.ConnectedSince, time.Now()) }},
	{"CID", 5, true, func(_ *view, c client.StatusClient) string { return table.Or(c.ClientID) }},
	{"RECEIVED", 9, true, func(_ *view, c client.StatusClient) string { return table.Bytes(c.BytesReceived) }},
	{"SENT", 9, true, func(_ *view, c client.StatusClient) string { return table.Bytes(c.BytesSent) }},
	{"REAL", 24, false, func(_ *view, c client.StatusClient) string { return c.RealAddress }},
	{"USER", 16, false, func(_ *view, c client.StatusClient) string { return table.Or(c.Username) }},
	{"CIPHER", 18, false, func(_ *view, c client.StatusClient) string { return table.Or(c.Cipher) }},
}

func (m *model) clients(v *view, room int) []string {
	cols, width := tableColumns[:1], tableColumns[0].width
	for i, c := range tableColumns[1:] {
		if width+2+c.width > m.width {
			break
		}
		width += 2 + c.width
		cols = tableColumns[:i+2]
	}
	row := func(text func(column) string) string {
		var b strings.Builder
		for i, c := range cols {
			if i > 0 {
				b.WriteString("  ")
			}
			s := runewidth.Truncate(env.Clean(text(c)), c.width, "…")
			if c.right {
				b.WriteString(runewidth.FillLeft(s, c.width))
			} else {
				b.WriteString(runewidth.FillRight(s, c.width))
			}
		}
		return b.String()
	}
	rows := m.rows()
	at := m.chosen(rows)
	shown := max(1, room-1)
	if at >= 0 {
		m.scroll = max(min(m.scroll, at), at-shown+1)
	}
	m.scroll = max(0, min(m.scroll, len(rows)-shown))
	out := []string{m.paint(bold, row(func(c column) string { return c.title }))}
	for i := m.scroll; i < min(len(rows), m.scroll+shown); i++ {
		line := row(func(c column) string { return c.text(v, rows[i]) })
		if i == at {
			line = m.paint(inverse, line)
		}
		out = append(out, line)
	}
	return out
}

// details are all that is known of the chosen client.
func (m *model) details(v *view) []string {
	rows := m.rows()
	i := m.chosen(rows)
	if i < 0 {
		return []string{"the client is gone"}
	}
	c := rows[i]
	r := v.perCID[c.ClientID]
	out := []string{
		m.paint(bold, env.Clean(table.Or(c.CommonName))),
		"real address     " + env.Clean(c.RealAddress),
		"virtual address  " + strings.TrimSpace(c.VirtualAddress+" "+c.VirtualIPv6),
		"since            " + table.Local(c.ConnectedSince) + " (" + table.Since(c.ConnectedSince, time.Now()) + ")",
		"received         " + table.Bytes(c.BytesReceived) + ", " + table.Rate(r.Received),
		"sent             " + table.Bytes(c.BytesSent) + ", " + table.Rate(r.Sent),
		"user             " + env.Clean(table.Or(c.Username)),
		"cipher           " + table.Or(c.Cipher),
		"CID, peer        " + c.ClientID + ", " + c.PeerID,
		"",
	}
	vars := v.env[c.ClientID]
	if len(vars) == 0 {
		return append(out, m.paint(faint, "no environment yet: it comes with CLIENT notifications"))
	}
	names := make([]string, 0, len(vars))
	for n := range vars {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		out = append(out, env.Clean(n+"="+vars[n]))
	}
	return out
}

func keys() []string {
	return []string{
		"up, down, PgUp, PgDn   choose a client", "Enter                  its details and environment", "s, r                   sort by the next column, turn the order round",
		"/                      filter: name=lab-*  sent>1MB  since<1h, or a pattern of names", "Esc                    no filter", "x                      disconnect the client, with a reason",
		"e                      show or hide events", "Tab                    the next target", "q, Ctrl-C              leave",
	}
}

func (m *model) foot() string {
	switch m.mode {
	case filtering:
		return "filter: " + m.typed + "█"
	case reasoning:
		rows := m.rows()
		if i := m.chosen(rows); i >= 0 {
			return "disconnect " + env.Clean(rows[i].CommonName) + "? reason (may be empty): " + m.typed + "█  Enter does it, Esc does not"
		}
	}
	if m.notice != "" {
		return m.paint(yellow, env.Clean(m.notice))
	}
	text := "q leave  ? keys  s sort"
	if sortable[m.sort] != "" {
		text += ": " + sortable[m.sort]
	}
	if m.filter != "" {
		text += "  filter: " + m.filter
	}
	return m.paint(faint, text)
}
