package sink

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/moongate-vpn/moongate/daemon/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is a web service that plays a list of answers, the last of them for ever.
type service struct {
	*httptest.Server
	mu      sync.Mutex
	answers []int
	asked   int
	ids     []string
	events  []string // users
	wrong   []string
}

const secret = "moonlight"

func newService(t *testing.T, answers ...int) *service {
	t.Helper()
	s := &service{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			s.wrong = append(s.wrong, err.Error())
		}
		if want := "sha256=" + hex.EncodeToString(sign([]byte(secret), r.Header.Get(timeHeader), body)); r.Header.Get(signatureHeader) != want {
			s.wrong = append(s.wrong, "signature "+r.Header.Get(signatureHeader))
		}
		s.ids = append(s.ids, r.Header.Get(deliveryHeader))
		code := s.answers[min(s.asked, len(s.answers)-1)]
		s.asked++
		if code == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(code)
		if code >= 300 {
			return
		}
		for l := bufio.NewScanner(bytes.NewReader(body)); l.Scan(); {
			var e journal.Event
			if err := json.Unmarshal(l.Bytes(), &e); err != nil || e.Version != journal.Version {
				s.wrong = append(s.wrong, l.Text())
			}
			s.events = append(s.events, e.User)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// lines keeps what a sink logs.
type lines struct {
	mu   sync.Mutex
	list []string
}

func (l *lines) log(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, fmt.Sprintf(format, args...))
}

func event(n int) journal.Event {
	return journal.Event{Kind: journal.KindLogin, User: fmt.Sprint("user", n)}.Stamped(1)
}

func TestWebhook(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers []int
		events  int
		asked   int
		dropped uint64
		logged  int
	}{
		{name: "taken", answers: []int{204}, events: 3, asked: 1},
		{name: "many are several requests", answers: []int{200}, events: 250, asked: 3},
		{name: "repeated with its id", answers: []int{500, 503, 429, 408, 200}, events: 3, asked: 5, logged: 2},
		{name: "refused for good", answers: []int{400}, events: 3, asked: 1, dropped: 3, logged: 1},
		{name: "a redirect is followed nowhere", answers: []int{302}, events: 3, asked: 1, dropped: 3, logged: 1},
		{name: "goes on after a refusal", answers: []int{413, 200}, events: 150, asked: 2, dropped: 100, logged: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, l := newService(t, tt.answers...), new(lines)
			h, err := newWebhook(s.URL+"/secret/path", []byte(secret), l.log, pauses{time.Millisecond, 5 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			for n := range tt.events {
				h.Record(event(n))
			}
			for end := time.Now().Add(15 * time.Second); ; time.Sleep(5 * time.Millisecond) {
				s.mu.Lock()
				over := len(s.events)+int(h.Dropped()) == tt.events
				s.mu.Unlock()
				if over {
					break
				}
				if time.Now().After(end) {
					t.Fatal("not all events have gone one way or the other")
				}
			}
			h.Close()
			h.Close()
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.wrong) > 0 || s.asked != tt.asked || h.Dropped() != tt.dropped {
				t.Errorf("%d requests, %d dropped, %q", s.asked, h.Dropped(), s.wrong)
			}
			if !slices.IsSortedFunc(s.events, func(a, b string) int { return len(a) - len(b) }) {
				t.Errorf("out of order: %q", s.events)
			}
			if ids := slices.Compact(slices.Clone(s.ids)); strings.HasPrefix(tt.name, "repeated") != (len(ids) == 1 && len(s.ids) > 1) {
				t.Errorf("delivery ids %q", s.ids)
			}
			if len(l.list) != tt.logged || strings.Contains(fmt.Sprint(l.list), "secret") {
				t.Errorf("logged %q", l.list)
			}
		})
	}
}

// A service that does not answer holds nobody up, and does not keep a daemon from ending.
func TestServiceHangs(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	l := new(lines)
	h, err := NewWebhook("http://"+ln.Addr().String(), nil, l.log)
	if err != nil {
		t.Fatal(err)
	}
	const more = 500
	for n := range queueMost + batchMost + more {
		h.Record(event(n))
	}
	if lost := h.Dropped(); lost < more-batchMost {
		t.Errorf("%d events are lost", lost)
	}
	began := time.Now()
	h.Close()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("its end takes %v", took)
	}
	if h.Dropped() != queueMost+batchMost+more {
		t.Errorf("%d events are lost, want all", h.Dropped())
	}
	var none *Sink
	none.Record(event(0))
	none.Close()
}

// Events go to syslog whole, and those before an error once.
func TestSyslog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	ln, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	l := new(lines)
	s := dialSyslog(t, path, l)
	for n := range 3 {
		s.Record(event(n))
	}
	got := make([]byte, 4096)
	for n := range 3 {
		_ = ln.SetReadDeadline(time.Now().Add(15 * time.Second))
		k, _, err := ln.ReadFrom(got)
		if err != nil {
			t.Fatal(err)
		}
		if text := string(got[:k]); !strings.HasPrefix(text, "<30>") || !strings.Contains(text, " moongate[") || !strings.Contains(text, fmt.Sprintf(`"user":"user%d"`, n)) {
			t.Errorf("syslog gets %q", text)
		}
	}
	s.Close()
	if s.Dropped() != 0 || len(l.list) != 0 {
		t.Errorf("%d lost, %q", s.Dropped(), l.list)
	}
}
