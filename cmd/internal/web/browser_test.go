//go:build linux

package web

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// browser opens a browser. At its end it fails the test for requests to elsewhere and for errors of the page.
func browser(t testing.TB, own string) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("NOT TESTED: the page in a browser, as there is no chromium; sh test/install-deps.sh installs it")
	}
	tmp, err := os.MkdirTemp("", "moongate-browser-") // it leaves files behind
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Env("TMPDIR="+tmp), chromedp.WindowSize(1400, 800))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	var mu sync.Mutex
	var wrong []string
	ctx, quit := chromedp.NewContext(ctx, chromedp.WithListener(func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch ev := ev.(type) {
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(ev.Request.URL, own) {
				wrong = append(wrong, "it asks "+ev.Request.URL)
			}
		case *cdplog.EventEntryAdded:
			if ev.Entry.Level == cdplog.EntryLevelError && !strings.Contains(ev.Entry.Text, "status of 40") && !strings.Contains(ev.Entry.Text, "ERR_") {
				wrong = append(wrong, ev.Entry.Text)
			}
		case *runtime.EventExceptionThrown:
			wrong = append(wrong, ev.ExceptionDetails.Text)
		}
	}))
	if err := chromedp.Do(ctx); err != nil { // starts the browser, which ends with this context
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(func() {
		if t.Failed() {
			picture(ctx, t, filepath.Join(os.TempDir(), "moongate-web-failed.png"))
		}
		cancel()
		quit()
		stop()
		mu.Lock()
		defer mu.Unlock()
		for _, w := range wrong {
			t.Errorf("the page: %s", w)
		}
	})
	return ctx
}

// watch has the browser tell of its requests.
func watch(ctx context.Context, to *chromedp.Target) (chromedp.Void, error) {
	_, err := cdp.Call(ctx, to, network.Enable, network.EnableParams{})
	return chromedp.Void{}, err
}

// picture writes what the browser shows, when MOONGATE_PICTURES names a folder or the test failed.
func picture(ctx context.Context, t testing.TB, path string) {
	if b, err := chromedp.Run(ctx, chromedp.CaptureScreenshot()); err == nil {
		err = os.WriteFile(path, b, 0o600)
		t.Logf("picture: %s %v", path, err)
	}
}

func look(ctx context.Context, t testing.TB, name string) {
	if dir := os.Getenv("MOONGATE_PICTURES"); dir != "" {
		picture(ctx, t, filepath.Join(dir, name+".png"))
	}
}

func do(ctx context.Context, t testing.TB, what string, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// get returns what an action finds.
func get[T any](ctx context.Context, t testing.TB, what string, action chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return v
}

// without drops what an action finds.
func without[T any](action chromedp.Action[T]) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, to *chromedp.Target) (chromedp.Void, error) {
		_, err := action(ctx, to)
		return chromedp.Void{}, err
	}
}

// until waits for a condition in the page. The policy of the page forbids what chromedp's own polling does there.
func until(condition string) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, to *chromedp.Target) (chromedp.Void, error) {
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			ok, err := chromedp.Evaluate[bool](condition)(ctx, to)
			if err != nil || ok {
				return chromedp.Void{}, err
			}
			if time.Now().After(end) {
				return chromedp.Void{}, fmt.Errorf("not in time: %s", condition)
			}
		}
	}
}

// script runs a script in the page.
func script(text string) chromedp.Action[chromedp.Void] { return without(chromedp.Evaluate[any](text)) }

// A person logs in, finds one of 10,000 clients, disconnects and bans it, and is told what happened.
func TestPageInBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	d, dial := crowd(t, 10_000)
	ccd, book := t.TempDir(), t.TempDir()
	w, err := journal.Open(journal.Config{Dir: book})
	if err != nil {
		t.Fatal(err)
	}
	w.Record(journal.Event{Kind: journal.KindLogin, Verdict: journal.Accepted, User: "alice", CN: "laptop-00007", Address: "192.0.2.7"})
	w.Close()
	own := serve(t, Config{Dial: dial, CCD: ccd, Journal: book})
	ctx := browser(t, own)
	do(ctx, t, "a wrong password", watch, chromedp.Navigate(own), chromedp.WaitVisible("#password"), chromedp.SendKeys("#password", "guess\r"),
		until(`document.getElementById("login-error").textContent.includes("not known")`))
	do(ctx, t, "log in", script(`document.getElementById("password").value = ""`), chromedp.SendKeys("#password", "moonlight\r"), until(`document.getElementById("count").textContent === "10,000"`))
	do(ctx, t, "the table", until(`!!document.querySelector(".row")?.textContent.startsWith("laptop-00000")`))
	drawn := get(ctx, t, "rows", chromedp.Evaluate[int](`document.querySelectorAll(".row").length`))
	if drawn < 10 || drawn > 80 {
		t.Errorf("%d rows are drawn, want those that are visible", drawn)
	}
	look(ctx, t, "web-clients")
	do(ctx, t, "the end of the list", script(`document.getElementById("table").scrollTop = 1e9`), until(`[...document.querySelectorAll(".row")].some(r => r.textContent.startsWith("laptop-09999"))`))
	do(ctx, t, "sort by traffic", chromedp.Click(`[data-key="bytes_received"]`), script(`document.getElementById("table").scrollTop = 0`),
		until(`!![...document.querySelectorAll(".row")].find(r => r.style.top === "0px")?.textContent.startsWith("laptop-09999")`))
	do(ctx, t, "filter", chromedp.SendKeys("#filter", "laptop 00777"), until(`document.querySelectorAll(".row").length === 1 && document.getElementById("shown").textContent === "1 of 10,000"`))
	do(ctx, t, "details", chromedp.Click(".row"), chromedp.WaitVisible("#details"), until(`document.getElementById("facts").textContent.includes("AES-256-GCM")`))
	do(ctx, t, "cancel", chromedp.SendKeys("#reason", "maintenance"), chromedp.Click("#ban"), chromedp.Click("#kick-button"), chromedp.WaitVisible("#sure"), chromedp.Click("#sure-no"),
		until(`!document.getElementById("sure").open`))
	if calls := strings.Join(d.Ctl.Calls(), " "); strings.Contains(calls, "Kill") {
		t.Errorf("cancelled, and yet: %s", calls)
	}
	do(ctx, t, "kick", chromedp.Click("#kick-button"), chromedp.WaitVisible("#sure"))
	sure := get(ctx, t, "the question", chromedp.Text("#sure-text"))
	look(ctx, t, "web-kick")
	do(ctx, t, "confirm", chromedp.Click("#sure-yes"), until(`!document.getElementById("told").hidden`))
	told := get(ctx, t, "the answer", chromedp.Text("#told"))
	look(ctx, t, "web-told")
	if !strings.Contains(sure, "laptop-00777 at 192.0.3.29:40000") || !strings.Contains(sure, "not be able") {
		t.Errorf("the question is %q", sure)
	}
	if !strings.Contains(told, "laptop-00777 was told why") || !strings.Contains(told, "cannot connect again") || !strings.Contains(told, ccd) {
		t.Errorf("told %q", told)
	}
	if b, err := os.ReadFile(filepath.Join(ccd, "laptop-00777")); err != nil || string(b) != "disable\n" {
		t.Errorf("the ban is %q, %v", b, err)
	}
	if calls := strings.Join(d.Ctl.Calls(), "\n"); !strings.Contains(calls, `ClientKill 777 "RESTART,maintenance": true`) {
		t.Errorf("calls %s", calls)
	}
	do(ctx, t, "history", chromedp.Click(`[data-tab="history"]`), until(`document.getElementById("history").textContent.includes("alice")`))
	do(ctx, t, "log", chromedp.Click(`[data-tab="log"]`), until(`document.getElementById("log").children.length >= 0 && !document.getElementById("tab-log").hidden`))
	d.Server.Notify("info", "hello,world")
	do(ctx, t, "events", chromedp.Click(`[data-tab="events"]`), until(`document.getElementById("events").textContent.includes("hello")`))
	look(ctx, t, "web-events")
	const hostile = `<img src=http://evil.example/x onerror=alert(1)>`
	odd := peers(1)[0]
	odd.CommonName = hostile
	d.Ctl.SetPeers(odd)
	d.Server.Notify("info", hostile)
	d.Server.ClientEstablished(server.ClientEvent{CID: odd.CID, Env: []string{"common_name=" + hostile}})
	do(ctx, t, "a name that is markup", until(fmt.Sprintf(`document.getElementById("events").textContent.includes(%q)`, hostile)), chromedp.Click(`[data-tab="clients"]`),
		script(`document.getElementById("filter").value = ""; document.getElementById("filter").dispatchEvent(new Event("input")); 0`),
		until(fmt.Sprintf(`document.querySelector(".row")?.firstChild.textContent === %q`, hostile)), until(`document.images.length === 0`))
	do(ctx, t, "log out", chromedp.Click("#logout"), chromedp.WaitVisible("#password"), until(`document.querySelectorAll(".row").length === 0`))
}

// A client's daemon has no table: the page shows its connection, and follows it.
func TestPageOfAClient(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	d, dial := crowd(t, 0)
	for _, l := range []string{"mode client", "traffic 5000 7000", "state CONNECTED SUCCESS 10.8.0.2"} {
		if err := d.Do(l); err != nil {
			t.Fatal(err)
		}
	}
	own := serve(t, Config{Dial: dial})
	ctx := browser(t, own)
	do(ctx, t, "log in", watch, chromedp.Navigate(own+"#moonlight"), until(`document.getElementById("client").textContent.includes("10.8.0.2")`), chromedp.WaitNotVisible("#split"),
		until(`document.querySelector('[data-tab="clients"]').textContent === "Connection" && document.querySelector('[data-tab="history"]').hidden`))
	look(ctx, t, "web-client")
	if err := d.Do("state RECONNECTING ping-restart"); err != nil {
		t.Fatal(err)
	}
	do(ctx, t, "a new state", until(`document.getElementById("state").textContent === "RECONNECTING" && document.getElementById("client").textContent.includes("ping-restart")`))
}

// Rates follow the counters, and end when they stand still.
func TestRatesInBrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	d, dial := crowd(t, 2)
	own := serve(t, Config{Dial: dial})
	ctx := browser(t, own)
	do(ctx, t, "log in", watch, chromedp.Navigate(own+"#moonlight"), until(`document.querySelectorAll(".row").length === 2`))
	list := peers(2)
	moves := func(condition string) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !get(ctx, t, "rates", chromedp.Evaluate[bool](condition)); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("not in time: %s", condition)
			}
			list[1].Count.In += 100_000
			d.Ctl.SetPeers(list...)
			d.Ctl.SetTraffic(list[1].Count)
		}
	}
	moves(`/^[0-9.]+ [KM]iB\/s$/.test(document.getElementById("rate-in").textContent) && /[KM]iB/.test([...document.querySelectorAll(".row")].find(r => r.textContent.startsWith("laptop-00001")).children[6].textContent)`)
	look(ctx, t, "web-rates")
	do(ctx, t, "standing still", until(`document.getElementById("rate-in").textContent === "0 B/s" && [...document.querySelectorAll(".row")].every(r => r.children[6].textContent === "")`))
}

// eventToPixel returns the shortest time of several from a client that connects to its row on the screen, among 10,000.
func eventToPixel(t *testing.T) time.Duration {
	list := peers(10_000)
	d, dial := crowd(t, len(list))
	own := serve(t, Config{Dial: dial})
	ctx := browser(t, own)
	do(ctx, t, "log in", watch, chromedp.Navigate(own+"#moonlight"), until(`document.getElementById("count").textContent === "10,000"`),
		script(`new MutationObserver(() => {
			if (window.wanted && [...document.querySelectorAll(".row")].some(r => r.firstChild.textContent === window.wanted)) {
				window.wanted = "";
				requestAnimationFrame(() => requestAnimationFrame(() => { window.seen = Date.now(); }));
			}
		}).observe(document.getElementById("body"), {childList: true, subtree: true, characterData: true}); 0`))
	best := time.Hour
	for n := range 5 {
		name := fmt.Sprintf("aaa-%d", 9-n) // first in the table
		do(ctx, t, "arm", script(fmt.Sprintf(`window.seen = 0; window.wanted = %q; 0`, name)))
		time.Sleep(300 * time.Millisecond) // not in the shadow of the look before
		p := peers(1)[0]
		p.CID, p.CommonName = uint64(20_000+n), name
		list = append(list, p)
		d.Ctl.SetPeers(list...)
		began := time.Now()
		d.Server.ClientEstablished(server.ClientEvent{CID: p.CID, Env: []string{"common_name=" + name}})
		do(ctx, t, "the row", until(`window.seen > 0`))
		seen := get(ctx, t, "its time", chromedp.Evaluate[int64](`window.seen`))
		took := time.UnixMilli(seen).Sub(began)
		t.Logf("%v", took.Round(time.Millisecond))
		best = min(best, took)
	}
	return best
}

// A client that connects shows at once. The figure of a quiet machine is in the soak test.
func TestEventToPixel(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	if took := eventToPixel(t); took > 10*time.Second {
		t.Errorf("%v from the event to the pixel", took)
	}
}
