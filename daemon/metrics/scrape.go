package metrics

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/mgmt"
)

// scrape is the collector of what is asked at each scrape.
type scrape struct{ src Source }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	buildInfo     = desc("moongate_build_info", "1, with the version of the daemon.", "version", "go")
	ready         = desc("moongate_ready", "1 while a server serves or a client is connected.")
	linkBytes     = desc("moongate_link_bytes_total", "Bytes on the links.", "direction")
	handshakes    = desc("moongate_handshakes_total", "Negotiations of keys that came to a key, renewals included.")
	handshakeBad  = desc("moongate_handshake_failures_total", "Negotiations of keys that came to nothing.", "reason")
	clients       = desc("moongate_clients", "Connected clients.")
	handshaking   = desc("moongate_clients_handshaking", "Clients that are not connected yet.")
	maxClients    = desc("moongate_clients_max", "max-clients.")
	versions      = desc("moongate_clients_by_version", "Connected clients by what they say in IV_VER.", "version")
	platforms     = desc("moongate_clients_by_platform", "Connected clients by what they say in IV_PLAT.", "platform")
	ciphers       = desc("moongate_clients_by_cipher", "Connected clients by the cipher of their data channel.", "cipher")
	dropped       = desc("moongate_packets_dropped_total", "Data packets that were dropped since the engine came up.", "reason")
	queue         = desc("moongate_queue_length", "Entries that wait.", "queue")
	hooksRunning  = desc("moongate_hooks_running", "Scripts that run.")
	hooksMax      = desc("moongate_hooks_max", "Scripts that may run at once.")
	linesLeftOut  = desc("moongate_log_lines_left_out_total", "Lines of the log beyond the limit for lines that peers cause.")
	seats         = desc("moongate_management_seats", "Clients of the management port.")
	seatsLost     = desc("moongate_management_lines_lost_total", "Lines that slow clients of the management port lost.")
	journalLost   = desc("moongate_journal_events_lost_total", "Events that the journal lost.")
	sinksLost     = desc("moongate_journal_sink_events_lost_total", "Events that syslog or a webhook did not take.", "sink")
	scriptEvents  = desc("moongate_script_events_total", "Events that a Lua script handled.", "script")
	scriptErrors  = desc("moongate_script_errors_total", "Errors of a Lua script.", "script")
	scriptDropped = desc("moongate_script_events_lost_total", "Events that a Lua script was too slow for.", "script")
	scriptSeconds = desc("moongate_script_handler_seconds", "Time that calls of a Lua script's handlers took, waits included.", "script")
	scriptMemory  = desc("moongate_script_memory_bytes", "Memory of a Lua script.", "script")
	clientBytes   = desc("moongate_client_link_bytes", "Bytes on the links of the connected clients of a common name.", "client", "direction")
)

// Describe implements prometheus.Collector.
func (s *scrape) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		buildInfo, ready, linkBytes, handshakes, handshakeBad, clients, handshaking, maxClients, versions, platforms, ciphers, dropped, queue, hooksRunning, hooksMax,
		linesLeftOut, seats, seatsLost, journalLost, sinksLost, scriptEvents, scriptErrors, scriptDropped, scriptSeconds, scriptMemory, clientBytes,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *scrape) Collect(ch chan<- prometheus.Metric) {
	to := samples{ch}
	to.gauge(buildInfo, 1, s.src.Version, runtime.Version())
	s.process(to)
	s.scripts(to)
	s.engine(to)
}

// samples takes the values of one scrape.
type samples struct{ ch chan<- prometheus.Metric }

func (to samples) gauge(d *prometheus.Desc, v int, labels ...string) {
	to.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
}

func (to samples) counter(d *prometheus.Desc, v uint64, labels ...string) {
	to.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
}

// process tells what outlives engines: totals, the management port, the journal.
func (s *scrape) process(to samples) {
	t := s.src.Totals
	to.counter(linkBytes, t.In.Load(), "in")
	to.counter(linkBytes, t.Out.Load(), "out")
	to.counter(handshakes, t.Handshakes.Load())
	to.counter(handshakeBad, t.Failed.Timeout.Load(), "timeout")
	to.counter(handshakeBad, t.Failed.Certificate.Load(), "certificate")
	to.counter(handshakeBad, t.Failed.TLS.Load(), "tls")
	to.counter(handshakeBad, t.Failed.Other.Load(), "other")
	to.gauge(seats, s.src.Seats())
	to.counter(seatsLost, s.src.SeatsLost())
	to.counter(journalLost, s.src.JournalLost())
	for name, n := range s.src.SinksLost() {
		to.counter(sinksLost, n, label(name))
	}
	to.gauge(queue, s.src.JournalQueue(), "journal")
}

// scripts tells of the Lua scripts, by the names of their files: two scripts may run the same file.
func (s *scrape) scripts(to samples) {
	byName := make(map[string]mgmt.ScriptStatus)
	for _, sc := range s.src.Scripts() {
		name := label(filepath.Base(sc.Name))
		if _, known := byName[name]; !known && len(byName) >= maxScripts {
			name = "other"
		}
		sum := byName[name]
		sum.Events, sum.Errors, sum.Dropped, sum.Memory = sum.Events+sc.Events, sum.Errors+sc.Errors, sum.Dropped+sc.Dropped, sum.Memory+sc.Memory
		sum.Took.Add(sc.Took)
		byName[name] = sum
	}
	for name, sc := range byName {
		to.counter(scriptEvents, sc.Events, name)
		to.counter(scriptErrors, sc.Errors, name)
		to.counter(scriptDropped, sc.Dropped, name)
		to.ch <- handlerTimes(sc.Took, name)
		to.gauge(scriptMemory, int(sc.Memory), name)
	}
}

// engine tells of the running engine; without one all its values are 0.
func (s *scrape) engine(to samples) {
	var c engine.Census
	if e := s.src.Engine(); e != nil {
		c = e.Census(s.src.Names != NamesOff)
	}
	up := 0
	if c.Ready {
		up = 1
	}
	to.gauge(ready, up)
	to.gauge(clients, c.Clients)
	to.gauge(handshaking, c.Handshaking)
	to.gauge(maxClients, c.MaxClients)
	to.gauge(hooksRunning, c.Hooks)
	to.gauge(hooksMax, c.MostHooks)
	to.counter(linesLeftOut, c.LinesLeftOut)
	for _, by := range []struct {
		d      *prometheus.Desc
		counts map[string]int
	}{{versions, c.Versions}, {platforms, c.Platforms}, {ciphers, c.Ciphers}, {queue, c.Queues}} {
		for value, n := range by.counts {
			to.gauge(by.d, n, value)
		}
	}
	for reason, n := range c.Dropped {
		to.counter(dropped, n, reason)
	}
	names := make(map[string]engine.Moved)
	for name, moved := range c.Names {
		name = label(name)
		if s.src.Names == NamesHash {
			name = digest(name)
		}
		sum := names[name]
		names[name] = engine.Moved{In: sum.In + moved.In, Out: sum.Out + moved.Out}
	}
	for name, moved := range names {
		to.gauge(clientBytes, int(moved.In), name, "in")
		to.gauge(clientBytes, int(moved.Out), name, "out")
	}
}

// maxScripts is how many scripts have series of their own, in the order of the configuration; the others share some.
const maxScripts = 4

// label makes a label of what others choose: one that is no UTF-8 would be refused.
func label(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// digest is the name of a client for those who are not to read it. Who knows a name can find its digest.
func digest(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:8])
}

// handlerTimes is a histogram of the calls of a script's handlers.
func handlerTimes(t mgmt.HandlerTimes, script string) prometheus.Metric {
	buckets, count := make(map[float64]uint64, len(mgmt.HandlerBounds)), uint64(0)
	for i, bound := range mgmt.HandlerBounds {
		count += t.Counts[i]
		buckets[bound] = count
	}
	return prometheus.MustNewConstHistogram(scriptSeconds, count+t.Counts[len(t.Counts)-1], t.Seconds, buckets, script)
}
