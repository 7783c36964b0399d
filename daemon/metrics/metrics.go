// Package metrics answers Prometheus: it counts the daemon's events, and asks the engine for its numbers at each scrape. Labels have few values,
// and peers cannot add any; docs/metrics.md lists them.
package metrics

import (
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/mgmt"
)

// Modes of series for each client.
const (
	NamesOff  = ""
	NamesHash = "hash" // by a digest of the common name
	NamesFull = "name"
)

// Metrics asks a Source at each scrape. All fields are needed but Engine, which may return nil.
type Source struct {
	Version string
	Names   string // one of the modes
	Totals  *engine.Totals
	Engine  func() engine.Counted
	Seats   func() int
	// SeatsLost, JournalLost and JournalQueue: lines that slow seats lost, events that the journal lost, events that wait for it.
	SeatsLost, JournalLost func() uint64
	JournalQueue           func() int
	SinksLost              func() map[string]uint64 // events, by the name of a sink
	Scripts                func() []mgmt.ScriptStatus
}

// Metrics counts events and answers scrapes. Its methods are safe for concurrent use; a nil Metrics counts nothing.
type Metrics struct {
	registry *prometheus.Registry

	logins   *prometheus.HistogramVec // by verdict
	refused  *prometheus.CounterVec   // by reason
	hooks    *prometheus.HistogramVec // by hook
	hookBad  *prometheus.CounterVec   // by hook
	reloads  *prometheus.HistogramVec // by verdict
	connects prometheus.Counter
	ended    *prometheus.CounterVec // by reason
	renewals prometheus.Counter
	commands prometheus.Counter
	state    *prometheus.GaugeVec // of a client
}

// Buckets of histograms, in seconds: a login may wait for a person, a hook should not.
var (
	loginBuckets = []float64{0.01, 0.05, 0.25, 1, 5, 30, 120}
	hookBuckets  = []float64{0.1, 1, 10}
)

// New returns metrics of a daemon.
func New(src Source) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	counters := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	histograms := func(name, help, label string, buckets []float64) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{label})
	}
	m.logins = histograms("moongate_login_seconds", "Time from a key message to the verdict about its login.", "verdict", loginBuckets)
	m.refused = counters("moongate_logins_refused_total", "Refused logins.", "reason")
	m.hooks = histograms("moongate_hook_seconds", "Time that scripts of the configuration and plugins took.", "hook", hookBuckets)
	m.hookBad = counters("moongate_hook_failures_total", "Scripts and plugins that failed or refused.", "hook")
	m.reloads = histograms("moongate_reload_seconds", "Time that reloads took.", "verdict", hookBuckets)
	m.connects = counter("moongate_connects_total", "Tunnels that came up.")
	m.ended = counters("moongate_disconnects_total", "Tunnels that ended.", "reason")
	m.renewals = counter("moongate_renewals_total", "Renewals of keys of a tunnel that is up.")
	m.commands = counter("moongate_management_commands_total", "Commands at the management port that change something.")
	m.state = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "moongate_client_state", Help: "1 for the state a client is in."}, []string{"state"})
	m.registry.MustRegister(
		m.logins, m.refused, m.hooks, m.hookBad, m.reloads, m.connects, m.ended, m.renewals, m.commands, m.state, &scrape{src},
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), goRuntime(),
	)
	for _, verdict := range []string{journal.Accepted, journal.Refused} {
		m.logins.WithLabelValues(verdict) // there from the start, so that a rate sees the first one
	}
	return m
}

// goRuntime tells of goroutines, collections and the heap, and not each of the two dozen series that Go has about memory.
func goRuntime() prometheus.Collector {
	heap := collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile("^/memory/classes/heap/objects:bytes$")}
	return collectors.NewGoCollector(collectors.WithGoCollectorMemStatsMetricsDisabled(), collectors.WithGoCollectorRuntimeMetrics(heap))
}

// Record counts an event of the journal.
func (m *Metrics) Record(e journal.Event) {
	if m == nil {
		return
	}
	switch e.Kind {
	case journal.KindLogin:
		m.logins.WithLabelValues(e.Verdict).Observe(e.Seconds)
		if e.Verdict == journal.Refused {
			m.refused.WithLabelValues(refusal(e.Reason)).Inc()
		}
	case journal.KindHook:
		hook := among(e.Text, hookNames)
		m.hooks.WithLabelValues(hook).Observe(e.Seconds)
		if e.Verdict == journal.Failed {
			m.hookBad.WithLabelValues(hook).Inc()
		}
	case journal.KindReload:
		m.reloads.WithLabelValues(e.Verdict).Observe(e.Seconds)
	case journal.KindConnect:
		m.connects.Inc()
	case journal.KindDisconnect:
		m.ended.WithLabelValues(among(e.Reason, endings)).Inc()
	case journal.KindRenewal:
		m.renewals.Inc()
	case journal.KindCommand:
		m.commands.Inc()
	case journal.KindState:
		m.state.Reset()
		m.state.WithLabelValues(e.Text).Set(1)
	}
}

// Values of labels. What is not among them counts as "other".
var (
	hookNames = []string{
		"up", "down", "route-up", "route-pre-down", "ipchange", "tls-verify", "user-pass-verify", "client-connect", "client-disconnect",
		"learn-address", "client-crresponse", "tls-crypt-v2-verify",
	}
	endings = []string{
		mgmt.ReasonPingRestart, mgmt.ReasonPingExit, mgmt.ReasonRemoteExit, mgmt.ReasonExitNotification, mgmt.ReasonInactive, mgmt.ReasonSessionTimeout,
		mgmt.ReasonConnectionReset, mgmt.ReasonTLSError, mgmt.ReasonServerPoll, mgmt.ReasonNetworkChange, mgmt.ReasonAuthFailure,
		"delayed-exit", "killed", "replaced", "refused", "shutdown", mgmt.SIGUSR1, mgmt.SIGHUP, mgmt.SIGTERM, mgmt.SIGINT,
	}
	// refusals are beginnings of reasons in the journal, and the label of each.
	refusals = []struct{ begin, label string }{
		{"auth-user-pass-verify", "script"}, {"client-connect", "script"}, {"challenge response", "script"}, {"plugin", "plugin"}, {"certificate", "certificate"},
		{"options differ", "options"}, {"user name", "name"}, {"auth-token", "token"}, {"MULTI: client has been rejected due to 'disable'", "disabled"},
		{"no decision in time", "overdue"}, {"AUTH_FAILED", "server"},
	}
)

func among(s string, list []string) string {
	if slices.Contains(list, s) {
		return s
	}
	return "other"
}

// refusal is the label of a reason.
func refusal(reason string) string {
	for _, r := range refusals {
		if strings.HasPrefix(reason, r.begin) {
			return r.label
		}
	}
	return "other"
}
