package top

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/clients"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/status"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/target"
	"github.com/moongate-vpn/moongate/cmd/internal/repl"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

const (
	maxEvents = 500 // kept of each target
	maxRates  = 60  // points of a sparkline
	maxEnv    = 5000
)

// view is one target on the screen.
type view struct {
	target target.Target
	status status.Status
	at     time.Time // of the newest sample, zero before the first
	why    string    // why there is none, "" while connected
	rates  []report.Rates
	perCID map[string]report.Rates   // of each client between the last two samples
	before map[string]report.Traffic // of each client at the sample before; kept for its memory
	events []event
	env    map[string]map[string]string // of clients, by CID, from their notifications
}

// event is a line of the events pane.
type event struct{ text, colour string }

// mode decides what keys mean.
type mode int

const (
	browsing mode = iota
	filtering
	details
	reasoning // typing the reason of a kill
	helping
)

// model holds the state of the screen. update changes it, lines draws it; it does no I/O.
type model struct {
	views         []*view
	at            int // target shown
	colour        bool
	width, height int

	mode    mode
	sort    int // index of sortable
	reverse bool
	filter  string
	typed   string
	cursor  string // CID chosen
	scroll  int
	events  bool
	notice  string
	kill    func(index int, h victim, reason string) tea.Cmd
}

// sortable are the orders of s, the daemon's own first.
var sortable = []string{"", "sent", "received", "name", "since", "real"}

func newModel(targets []target.Target, colour bool) *model {
	m := &model{colour: colour, width: 80, height: 24, events: true}
	for _, t := range targets {
		m.views = append(m.views, &view{target: t, why: "dialing", perCID: make(map[string]report.Rates), before: make(map[string]report.Traffic), env: make(map[string]map[string]string)})
	}
	return m
}

// update takes a message in.
func (m *model) update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		if msg.Width > 0 && msg.Height > 0 { // without its renderer the library does not know
			m.width, m.height = msg.Width, msg.Height
		}
	case sample:
		m.views[msg.index].sample(msg)
	case lost:
		m.views[msg.index].why = msg.why
	case happened:
		m.views[msg.index].happened(msg)
	case killed:
		m.notice = msg.who + " disconnected"
		if msg.err != nil {
			m.notice = msg.who + ": " + msg.err.Error()
		}
	case tea.KeyPressMsg:
		return m.key(msg)
	case tea.PasteMsg:
		if m.mode == filtering || m.mode == reasoning {
			m.enter(strings.Join(strings.Fields(msg.Content), " "))
		}
	}
	return nil
}

func (v *view) sample(s sample) {
	if !v.at.IsZero() && v.why == "" {
		d := s.at.Sub(v.at).Seconds()
		v.rates = append(v.rates, rate(s.status.Traffic, v.status.Traffic, d))
		if len(v.rates) > maxRates {
			v.rates = v.rates[len(v.rates)-maxRates:]
		}
		clear(v.before)
		for i := range v.status.Clients {
			v.before[v.status.Clients[i].ClientID] = traffic(&v.status.Clients[i])
		}
		clear(v.perCID)
		for i := range s.status.Clients {
			c := &s.status.Clients[i]
			if b, ok := v.before[c.ClientID]; ok {
				v.perCID[c.ClientID] = rate(traffic(c), b, d)
			}
		}
	}
	v.status, v.at, v.why = s.status, s.at, ""
}

func traffic(c *client.StatusClient) report.Traffic {
	return report.Traffic{BytesReceived: c.BytesReceived, BytesSent: c.BytesSent}
}

func rate(now, before report.Traffic, seconds float64) report.Rates {
	per := func(a, b uint64) float64 {
		if a < b || seconds <= 0 {
			return 0
		}
		return float64(a-b) / seconds
	}
	return report.Rates{Received: per(now.BytesReceived, before.BytesReceived), Sent: per(now.BytesSent, before.BytesSent), Seconds: seconds}
}

func (v *view) happened(h happened) {
	if h.note.Kind == mgmt.KindClient && len(h.note.Env) > 0 && len(v.env) < maxEnv {
		if ev := report.EventOf(h.note, "", h.at); ev.Client != nil {
			if f := strings.Split(h.note.Text, ","); len(f) > 1 {
				v.env[f[1]] = ev.Env
			}
		}
	}
	text, colour := repl.Person(h.note, h.at)
	v.events = append(v.events, event{text, colour})
	if len(v.events) > maxEvents {
		v.events = v.events[len(v.events)-maxEvents:]
	}
}

// rows are the clients shown, in order.
func (m *model) rows() []client.StatusClient {
	var filters []string
	if m.filter != "" {
		filters = strings.Fields(m.filter)
	}
	order := sortable[m.sort]
	if m.reverse && order != "" {
		order = "-" + order
	}
	s, err := clients.NewSelection(order, filters)
	if err != nil {
		m.notice = err.Error()
		s, _ = clients.NewSelection(order, nil)
	}
	return s.Apply(m.views[m.at].status.Clients)
}

// chosen is the index of the cursor's client in rows, the first when it is gone, -1 when there is none.
func (m *model) chosen(rows []client.StatusClient) int {
	for i, r := range rows {
		if r.ClientID == m.cursor {
			return i
		}
	}
	return min(0, len(rows)-1)
}

func (m *model) move(by int) {
	rows := m.rows()
	if i := m.chosen(rows); i >= 0 {
		m.cursor = rows[max(0, min(len(rows)-1, i+by))].ClientID
	}
}

func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	name := k.String()
	if name == "ctrl+c" {
		return tea.Quit
	}
	m.notice = ""
	switch m.mode {
	case filtering, reasoning:
		return m.typing(k, name)
	case details, helping:
		m.mode = browsing
		if name == "q" || name == "esc" || name == "enter" || name == "?" {
			return nil
		}
	}
	switch name {
	case "q":
		return tea.Quit
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup":
		m.move(-m.page())
	case "pgdown":
		m.move(m.page())
	case "home":
		m.move(-1 << 30)
	case "end":
		m.move(1 << 30)
	case "s":
		m.sort, m.reverse = (m.sort+1)%len(sortable), false
	case "r":
		m.reverse = !m.reverse
	case "e":
		m.events = !m.events
	case "/":
		m.mode, m.typed = filtering, m.filter
	case "?":
		m.mode = helping
	case "esc":
		m.filter = ""
	case "enter":
		if m.chosen(m.rows()) >= 0 {
			m.mode = details
		}
	case "x":
		if m.chosen(m.rows()) >= 0 {
			m.mode, m.typed = reasoning, ""
		}
	case "tab":
		m.at, m.scroll = (m.at+1)%len(m.views), 0
	case "shift+tab":
		m.at, m.scroll = (m.at+len(m.views)-1)%len(m.views), 0
	}
	return nil
}

// typing edits the filter or the reason.
func (m *model) typing(k tea.KeyPressMsg, name string) tea.Cmd {
	switch name {
	case "esc":
		m.mode = browsing
	case "backspace":
		if r := []rune(m.typed); len(r) > 0 {
			m.typed = string(r[:len(r)-1])
		}
	case "ctrl+u":
		m.typed = ""
	case "enter":
		was := m.mode
		m.mode = browsing
		if was == filtering {
			if _, err := clients.NewSelection("", strings.Fields(m.typed)); err != nil {
				m.notice = err.Error()
				return nil
			}
			m.filter = m.typed
			return nil
		}
		rows := m.rows()
		if i := m.chosen(rows); i >= 0 && m.kill != nil {
			return m.kill(m.at, rows[i], m.typed)
		}
	default:
		m.enter(k.Text)
	}
	return nil
}

// enter adds what was typed or pasted, up to what a filter or a reason may be.
func (m *model) enter(text string) {
	for _, r := range text {
		if len(m.typed) < 200 {
			m.typed += string(r)
		}
	}
}
