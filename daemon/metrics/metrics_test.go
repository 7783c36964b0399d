package metrics

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/mgmt"
)

// fake is an engine with a fixed census.
type fake struct{ c engine.Census }

func (f fake) Census(names bool) engine.Census {
	if !names {
		f.c.Names = nil
	}
	return f.c
}

// source is a daemon in which everything happens that can.
func source(names string, clients int) Source {
	c := engine.Census{
		Ready: true, Clients: clients, MaxClients: clients, Names: make(map[string]engine.Moved), MostHooks: 64,
		Versions: make(map[string]int), Platforms: make(map[string]int), Ciphers: make(map[string]int),
		Queues: map[string]int{"control_packets": 1, "newcomers": 2, "calls": 3}, Dropped: make(map[string]uint64),
	}
	for i := range clients {
		c.Names[fmt.Sprint("client", i)] = engine.Moved{In: uint64(i), Out: 1}
	}
	for i := range 7 { // the engine makes few labels of what peers say
		c.Versions[fmt.Sprint(i)], c.Platforms[fmt.Sprint(i)], c.Ciphers[fmt.Sprint(i)] = 1, 1, 1
	}
	for i := range 12 {
		c.Dropped[fmt.Sprint(i)] = 1
	}
	var took mgmt.HandlerTimes
	took.Observe(50 * time.Millisecond)
	return Source{
		Version: "1.0", Names: names, Totals: new(engine.Totals), Engine: func() engine.Counted { return fake{c} }, Seats: func() int { return 1 },
		SeatsLost: func() uint64 { return 2 }, JournalLost: func() uint64 { return 3 }, JournalQueue: func() int { return 4 },
		SinksLost: func() map[string]uint64 { return map[string]uint64{"syslog": 1, "webhook log.example.com": 2} },
		Scripts: func() []mgmt.ScriptStatus {
			list := []mgmt.ScriptStatus{{Name: "/etc/a.lua", Events: 1, Took: took}, {Name: "/etc/b.lua"}, {Name: "/opt/a.lua", Events: 2, Took: took}, {Name: "\xff.lua"}}
			for i := range 20 {
				list = append(list, mgmt.ScriptStatus{Name: fmt.Sprintf("/etc/more%d.lua", i), Events: 1})
			}
			return list
		},
	}
}

// everything records each kind of event, each with every reason that is known and with many that are not.
func everything(m *Metrics) {
	for _, reason := range append(slices.Clone(endings), "x", "y\xff") {
		m.Record(journal.Event{Kind: journal.KindDisconnect, Reason: reason})
	}
	for _, r := range refusals {
		m.Record(journal.Event{Kind: journal.KindLogin, Verdict: journal.Refused, Reason: r.begin + " and more"})
	}
	for _, verdict := range []string{journal.Done, journal.Failed} {
		for _, hook := range hookNames {
			m.Record(journal.Event{Kind: journal.KindHook, Text: hook, Verdict: verdict, Seconds: rand.Float64()})
		}
		m.Record(journal.Event{Kind: journal.KindReload, Verdict: verdict, Seconds: 0.1})
	}
	for _, kind := range journal.Kinds {
		for i := range 100 {
			e := journal.Event{Kind: kind, Text: fmt.Sprint("text", i), Reason: fmt.Sprint("reason", i), User: fmt.Sprint("user", i), Verdict: journal.Accepted}
			if kind == journal.KindReload {
				e.Verdict = journal.Done
			}
			m.Record(e)
		}
	}
}

// get returns the series and the names in an answer.
func get(t *testing.T, url string) (series []string, names map[string]bool) {
	t.Helper()
	resp, err := http.Get(url) //nolint:gosec,noctx // this test's own
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s", resp.Status)
	}
	names = make(map[string]bool)
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		if name, ok := strings.CutPrefix(s.Text(), "# TYPE "); ok {
			names[strings.Fields(name)[0]] = true
		} else if !strings.HasPrefix(s.Text(), "#") {
			series = append(series, s.Text())
		}
	}
	return series, names
}

func serve(t *testing.T, src Source) (m *Metrics, url string) {
	t.Helper()
	m = New(src)
	srv := httptest.NewServer(m.Handler())
	t.Cleanup(srv.Close)
	return m, srv.URL + "/metrics"
}

// However many clients there are, and whatever they and hooks say, the series are few.
func TestSeriesAreBounded(t *testing.T) {
	m, url := serve(t, source(NamesOff, 10_000))
	everything(m)
	series, _ := get(t, url)
	t.Logf("%d series", len(series))
	for _, want := range []string{
		`moongate_script_handler_seconds_bucket{script="a.lua",le="0.1"} 2`, // two files of this name
		`moongate_script_events_total{script="more0.lua"} 1`, `moongate_script_events_total{script="other"} 19`,
	} {
		if !slices.Contains(series, want) {
			t.Errorf("no %s in %q", want, series)
		}
	}
	if len(series) > 300 {
		t.Errorf("%d series, want at most 300", len(series))
	}
	for _, s := range series {
		if strings.Contains(s, "client7") || strings.Contains(s, "user7") {
			t.Errorf("it names a client: %s", s)
		}
	}
}

// Series for each client come when they are asked for, and say no more than the name.
func TestSeriesOfClients(t *testing.T) {
	for mode, want := range map[string]string{
		NamesFull: `moongate_client_link_bytes{client="client7",direction="in"} 7`,
		NamesHash: `moongate_client_link_bytes{client="` + digest("client7") + `",direction="in"} 7`,
	} {
		src := source(mode, 100)
		c := src.Engine().Census(true)
		c.Names["a\xff"], c.Names["a\xfe"] = engine.Moved{In: 1}, engine.Moved{In: 2}
		src.Engine = func() engine.Counted { return fake{c} }
		_, url := serve(t, src)
		series, _ := get(t, url)
		if !slices.Contains(series, want) {
			t.Errorf("%s: no series %s", mode, want)
		}
		if n := len(slices.DeleteFunc(series, func(s string) bool { return !strings.HasPrefix(s, "moongate_client_link_bytes") })); n != 202 && n != 204 {
			t.Errorf("%s: %d series of clients", mode, n)
		}
	}
}

// An engine that is not there leaves zeros, and a client's state has one series at a time.
func TestWithoutEngine(t *testing.T) {
	src := source(NamesOff, 0)
	src.Engine = func() engine.Counted { return nil }
	m, url := serve(t, src)
	for _, s := range []string{"CONNECTING", "CONNECTED"} {
		m.Record(journal.Event{Kind: journal.KindState, Text: s})
	}
	series, _ := get(t, url)
	for _, want := range []string{"moongate_ready 0", "moongate_clients 0", `moongate_client_state{state="CONNECTED"} 1`, `moongate_login_seconds_count{verdict="refused"} 0`} {
		if !slices.Contains(series, want) {
			t.Errorf("no %s", want)
		}
	}
	if slices.ContainsFunc(series, func(s string) bool { return strings.Contains(s, `"CONNECTING"`) }) {
		t.Error("the state before is still there")
	}
	var none *Metrics
	none.Record(journal.Event{Kind: journal.KindLogin})
}

// A crowd of silent connections keeps nobody out for long, and the end of the daemon ends them all.
func TestServeIsBounded(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := New(source(NamesOff, 0))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Serve(ctx, ln) }()
	var idle []net.Conn
	for range connections + 5 {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		idle = append(idle, c)
	}
	last := idle[len(idle)-1]
	_ = last.SetReadDeadline(time.Now().Add(15 * time.Second))
	if _, err := last.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("one connection too many is kept: %v", err)
	}
	for _, c := range idle {
		_ = c.Close()
	}
	url := "http://" + ln.Addr().String()
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get(url + "/metrics") //nolint:gosec,noctx // this test's own
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no place comes back: %v", err)
		}
	}
	for path, want := range map[string]int{"/": 404, "/metrics/x": 404, "/debug/pprof/": 404} {
		resp, err := http.Get(url + path) //nolint:gosec,noctx // this test's own
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("GET %s: %s", path, resp.Status)
		}
	}
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(15 * time.Second):
		t.Error("it does not end")
	}
}

var update = flag.Bool("update", false, "rewrite the table of docs/metrics.md")

// docs/metrics.md lists every metric of ours with its type, its labels and what it says.
func TestDocument(t *testing.T) {
	m, _ := serve(t, source(NamesFull, 1))
	everything(m)
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	table := "| metric | type | labels | what |\n|---|---|---|---|\n"
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "moongate_") {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		table += fmt.Sprintf("| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp())
	}
	const path = "../../docs/metrics.md"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := regexp.MustCompile(`(?s)\| metric \|.*?\n(\n|$)`)
	if !whole.Match(b) {
		t.Fatal("docs/metrics.md has no table of metrics")
	}
	if *update {
		if err := os.WriteFile(path, whole.ReplaceAllLiteral(b, []byte(table+"\n")), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	} else if !strings.Contains(string(b), table) {
		t.Errorf("the table of docs/metrics.md is not what the code says: go test ./daemon/metrics -run Document -update\n%s", table)
	}
}

// Every metric that the dashboard asks for exists.
func TestDashboard(t *testing.T) {
	m, url := serve(t, source(NamesFull, 1))
	everything(m)
	_, names := get(t, url)
	b, err := os.ReadFile("../../packaging/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`\b(?:moongate|process|go)_[a-z_]+`).FindAllString(string(b), -1)
	if len(asked) < 15 {
		t.Fatalf("the dashboard asks for %d metrics", len(asked))
	}
	for _, name := range asked {
		base := name
		for _, end := range []string{"_bucket", "_count", "_sum"} {
			base = strings.TrimSuffix(base, end)
		}
		if !names[name] && !names[base] {
			t.Errorf("the dashboard asks for %s, which does not exist", name)
		}
	}
}
