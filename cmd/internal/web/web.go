package web

import (
	"context"
	"crypto/tls"
	"embed"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/httplimit"
)

//go:embed files
var embedded embed.FS

// Config describes the daemon and who may come in.
type Config struct {
	Name      string // of the daemon, for the head of the page
	Dial      func(ctx context.Context) (*client.Client, error)
	Passwords []Password
	Journal   string // directory of its journal on this machine, "" for none
	CCD       string // its client-config-dir, for bans; "" for none
	TLS       *tls.Config
}

// Page serves browsers.
type Page struct {
	cfg    Config
	hub    *hub
	feed   *feed
	logins *logins
}

// New makes a page. Without a password it lets no browser in.
func New(cfg Config) *Page {
	h := newHub(cfg.Name)
	return &Page{
		cfg: cfg, hub: h, feed: &feed{dial: cfg.Dial, hub: h},
		logins: &logins{passwords: cfg.Passwords, secure: cfg.TLS != nil, sessions: make(map[string]session), guesses: newGuesses()},
	}
}

// Handler is the page and its REST.
func (p *Page) Handler() http.Handler {
	a := &api{feed: p.feed, book: p.cfg.Journal}
	if p.cfg.CCD != "" {
		a.bans = &bans{p.cfg.CCD}
	}
	files, err := fs.Sub(embedded, "files")
	if err != nil {
		panic(err) // it is embedded
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("POST /login", p.logins.login)
	look := func(pattern string, f func(http.ResponseWriter, *http.Request, session)) {
		mux.HandleFunc(pattern, p.logins.needs(mgmt.RoleObserve, f))
	}
	look("POST /logout", func(w http.ResponseWriter, r *http.Request, _ session) { p.logins.logout(w, r) })
	look("GET /api/me", func(w http.ResponseWriter, _ *http.Request, s session) {
		answer(w, struct {
			me
			Ban     bool `json:"ban"`
			History bool `json:"history"`
		}{who(s), a.bans != nil, a.book != ""})
	})
	look("GET /api/status", a.status)
	look("GET /api/clients", a.clients)
	look("GET /api/version", a.version)
	look("GET /api/log", a.log)
	look("GET /api/history", a.history)
	look("GET /api/events", p.events)
	mux.HandleFunc("POST /api/kill", p.logins.needs(mgmt.RoleOperate, a.kill))
	return guarded(http.NewCrossOriginProtection().Handler(mux))
}

// guarded says on each answer what a browser may do with it: nothing from elsewhere, nothing inside another page.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// Times and sizes of the listener.
const (
	requestLimit = 10 * time.Second
	connections  = 4 * streamsMax
	beat         = 20 * time.Second // of streams that have nothing to say
	writeLimit   = 30 * time.Second
	answerLimit  = 2 * time.Minute // but for streams, each event of which has writeLimit
)

// events is GET /api/events: the stream of a browser.
func (p *Page) events(w http.ResponseWriter, r *http.Request, s session) {
	st := p.hub.join()
	if st == nil {
		fail(w, http.StatusServiceUnavailable, fmt.Errorf("more than %d pages are open", streamsMax))
		return
	}
	defer p.hub.leave(st)
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{}) // the limit for requests would end the stream
	tick := time.NewTicker(beat)
	defer tick.Stop()
	over := time.NewTimer(time.Until(s.until))
	defer over.Stop()
	for {
		var m message
		select {
		case m = <-st.queue:
		case <-tick.C:
			m.event, m.data = "beat", []byte("{}")
		case <-over.C:
			return
		case <-r.Context().Done():
			return
		}
		_ = out.SetWriteDeadline(time.Now().Add(writeLimit)) // a browser that does not read ends its stream
		if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", m.event, m.data); err != nil {
			return
		}
		if len(st.queue) == 0 && out.Flush() != nil {
			return
		}
	}
}

// Serve feeds the page and answers on ln until ctx ends.
func (p *Page) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { p.feed.run(ctx) })
	defer cancel() // before the feed is waited for
	return httplimit.Serve(ctx, ln, p.Handler(), httplimit.Limits{Connections: connections, Request: requestLimit, Answer: answerLimit, TLS: p.cfg.TLS})
}
