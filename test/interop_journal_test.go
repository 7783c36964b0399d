package test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/journal/index"
)

// Both ends of a tunnel keep a journal as user nobody, the server inside a chroot: it is written after the drop, belongs to that user,
// and says who was connected.
func TestJournalOfAnotherUser(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	jail := l.file("jail")
	if err := os.MkdirAll(filepath.Join(jail, "tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	books := map[string]string{"server": l.file("book-server"), "client": l.file("book-client")}
	drop := []string{"--user", "nobody", "--group", "nogroup", "--persist-key", "--persist-tun"}
	s := ours(t, l.server, l.serverArgs(append(drop, "--journal", books["server"], "--script-security", "2", "--client-connect", "/bin/false")...))
	s.WaitLine(t, up, upLimit)
	c := ours(t, l.client, l.clientArgs(append(drop, "--nobind", "--journal", books["client"], "--connect-retry", "1", "1")...))
	events := func(end string, kinds ...string) []journal.Event {
		list, err := index.Query(t.Context(), books[end], index.Filter{Kinds: kinds})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	waitFor(t, "the hook's failure", func() bool {
		return slices.ContainsFunc(events("server", journal.KindHook), func(e journal.Event) bool {
			return e.Text == "client-connect" && e.Verdict == journal.Failed && e.CN == "client1"
		})
	})
	c.Wait(t, upLimit) // it is refused
	s.Signal(t, syscall.SIGTERM)
	s.Wait(t, upLimit)

	s = ours(t, l.server, l.serverArgs(append(drop, "--chroot", jail, "--journal", books["server"], "--metrics", l.file("m.sock"), "clients-name", "--management", l.file("s.sock"), "unix")...))
	s.WaitLine(t, up, upLimit)
	c = ours(t, l.client, l.clientArgs(append(drop, "--nobind", "--journal", books["client"])...))
	c.WaitLine(t, up, upLimit)
	var scraped string
	waitFor(t, "a client in the metrics", func() bool {
		scraped = scrape(t, l.file("m.sock"))
		return strings.Contains(scraped, "\nmoongate_clients 1\n")
	})
	for _, want := range []string{
		"moongate_ready 1", "moongate_handshakes_total 1", `moongate_clients_by_version{version="2.6"} 1`, `moongate_clients_by_cipher{cipher="AES-256-GCM"} 1`,
		`moongate_login_seconds_count{verdict="accepted"} 1`, "moongate_connects_total 1", "moongate_journal_events_lost_total 0", `moongate_client_link_bytes{client="client1",direction="in"}`,
	} {
		if !strings.Contains(scraped, "\n"+want) {
			t.Errorf("no %s among the metrics:\n%s", want, scraped)
		}
	}
	m := manage(t, l.file("s.sock"))
	if _, err := m.Cmd(t.Context(), "reload"); err == nil {
		t.Error("a reload that finds no file inside the jail succeeds")
	}
	c.Signal(t, syscall.SIGTERM)
	c.Wait(t, upLimit)
	s.Signal(t, syscall.SIGTERM)
	s.Wait(t, upLimit)
	if list := events("server", journal.KindReload, journal.KindCommand); !slices.ContainsFunc(list, func(e journal.Event) bool {
		return e.Kind == journal.KindReload && e.Verdict == journal.Failed && strings.Contains(e.Reason, "ca.crt")
	}) ||
		!slices.ContainsFunc(list, func(e journal.Event) bool { return e.Kind == journal.KindCommand && e.Text == "reload" && e.Who != "" }) {
		t.Errorf("no reload, or not who asked for it: %+v", list)
	}
	for end, dir := range books {
		list, err := index.Sessions(t.Context(), dir, index.SessionFilter{})
		if err != nil || len(list) != 1 {
			t.Fatalf("%s: sessions %+v, %v", end, list, err)
		}
		if s := list[0]; s.State != index.SessionEnded || s.In == 0 || s.Out == 0 || s.Reason == "" || fmt.Sprint(s.Tunnel) != "[10.8.0.2]" || !strings.HasPrefix(s.Address, "10.99.0.") {
			t.Errorf("%s: session %+v", end, s)
		}
		var info syscall.Stat_t
		if err := syscall.Stat(dir, &info); err != nil || info.Uid != 65534 {
			t.Errorf("%s: its journal belongs to user %d, %v", end, info.Uid, err)
		}
		if log := c.Log() + s.Log(); strings.Contains(log, "journal:") {
			t.Errorf("%s: it complains:\n%s", end, log)
		}
	}
}

// A disk that is full or read-only from the start costs the journal, with a line in the log, and no tunnel.
func TestJournalOnABadDisk(t *testing.T) {
	t.Parallel()
	for name, mount := range map[string]string{
		"read-only": "mount -t tmpfs -o ro none $0",
		"full":      "mount -t tmpfs -o size=64k none $0 && ! dd if=/dev/zero of=$0/fill bs=4k 2>/dev/null",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			disk := t.TempDir()
			args := []string{"-m", "--propagation", "private", "sh", "-c", mount + ` && exec "$@"`, disk, program(t)}
			events, hook := l.webhook(t)
			s := l.server.Start(t, "unshare", append(args, l.serverArgs("--journal", filepath.Join(disk, "journal"), "--journal-webhook", hook)...)...)
			s.WaitLine(t, up, upLimit)
			await(t, "the start reaches the web service", upLimit, func() bool { return strings.Contains(events.String(), `"kind":"start"`) })
			s.WaitLine(t, "journal: ", upLimit)
			c := ours(t, l.client, l.clientArgs("--nobind"))
			c.WaitLine(t, up, upLimit)
			ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
			if n := strings.Count(s.Log(), "journal: "); n > 2 { // the journal's, and the index's
				t.Errorf("%d lines about the disk:\n%s", n, s.Log())
			}
		})
	}
}

// webhook is a web service on the server's host that keeps what it is sent.
func (l *lab) webhook(t *testing.T) (events *daemontest.Log, url string) {
	t.Helper()
	var ln net.Listener
	l.server.Do(t, func() (err error) {
		ln, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	})
	events = new(daemontest.Log)
	srv := &http.Server{ReadHeaderTimeout: upLimit, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(events, io.LimitReader(r.Body, 1<<20))
	})}
	t.Cleanup(func() { srv.Close() })
	go func() { _ = srv.Serve(ln) }()
	return events, "http://" + ln.Addr().String() + "/"
}

// scrape asks for the metrics at a socket.
func scrape(t *testing.T, path string) string {
	t.Helper()
	c := http.Client{Timeout: upLimit, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	resp, err := c.Get("http://moongate/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
