package web

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
)

// Limits of logins.
const (
	sessionsMax = 256
	sessionLast = 12 * time.Hour
	cookieName  = "moongate"
	tokenHeader = "X-Moongate-Token"
)

// Password lets in with a role.
type Password struct {
	Text string
	Role mgmt.Role
}

// session is a browser that has logged in.
type session struct {
	role  mgmt.Role
	token string // of requests that change something
	until time.Time
}

// logins holds the sessions of browsers that have logged in.
type logins struct {
	passwords []Password
	secure    bool // cookies travel over TLS only

	mu       sync.Mutex // guards all below
	sessions map[string]session
	guesses  guesses
}

// attempt reports whether a request may try one more password.
func (l *logins) attempt(r *http.Request, now time.Time) bool {
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.guesses.allow(from.Addr(), now)
}

// role finds the role of a password. It takes the same time for all.
func (l *logins) role(text string) (role mgmt.Role, ok bool) {
	given := sha256.Sum256([]byte(text))
	for _, p := range l.passwords {
		want := sha256.Sum256([]byte(p.Text))
		if subtle.ConstantTimeCompare(given[:], want[:]) == 1 && p.Text != "" {
			role, ok = role|p.Role, true
		}
	}
	return role, ok
}

// enter begins a session and returns its cookie.
func (l *logins) enter(role mgmt.Role, now time.Time) (id string, s session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := ""
	for id, s := range l.sessions {
		if now.After(s.until) {
			delete(l.sessions, id)
		} else if oldest == "" || s.until.Before(l.sessions[oldest].until) {
			oldest = id
		}
	}
	if len(l.sessions) >= sessionsMax {
		delete(l.sessions, oldest)
	}
	id, s = rand.Text(), session{role: role, token: rand.Text(), until: now.Add(sessionLast)}
	l.sessions[id] = s
	return id, s
}

// of is the session of a request.
func (l *logins) of(r *http.Request, now time.Time) (session, bool) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return session{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.sessions[cookie.Value]
	return s, ok && now.Before(s.until)
}

// login is POST /login with {"password": …}.
func (l *logins) login(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Password string `json:"password"`
	}
	if err := decode(w, r, &in); err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	now := time.Now()
	if !l.attempt(r, now) {
		fail(w, http.StatusTooManyRequests, errors.New("too many attempts: wait a few seconds"))
		return
	}
	role, ok := l.role(in.Password)
	if !ok {
		fail(w, http.StatusUnauthorized, errors.New("this password is not known"))
		return
	}
	id, s := l.enter(role, now)
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: id, Path: "/", HttpOnly: true, Secure: l.secure, SameSite: http.SameSiteStrictMode, MaxAge: int(sessionLast.Seconds())})
	answer(w, who(s))
}

// logout is POST /logout.
func (l *logins) logout(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(cookieName); err == nil {
		l.mu.Lock()
		delete(l.sessions, cookie.Value)
		l.mu.Unlock()
	}
	w.WriteHeader(http.StatusNoContent)
}

// me tells a browser about its session.
type me struct {
	Role  string `json:"role"`
	Token string `json:"token"` // for the header X-Moongate-Token
	Kill  bool   `json:"kill"`
}

func who(s session) me { return me{s.role.String(), s.token, s.role.May(mgmt.RoleOperate)} }

// needs lets requests of sessions with a role through. One that changes something has the session's token in a header, which no other site's page
// can send.
func (l *logins) needs(role mgmt.Role, next func(w http.ResponseWriter, r *http.Request, s session)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, ok := l.of(r, time.Now())
		switch {
		case !ok:
			fail(w, http.StatusUnauthorized, errors.New("log in first"))
		case !s.role.May(role):
			fail(w, http.StatusForbidden, errors.New("the role "+s.role.String()+" may not do this: it takes "+role.String()))
		case r.Method != http.MethodGet && subtle.ConstantTimeCompare([]byte(r.Header.Get(tokenHeader)), []byte(s.token)) != 1:
			fail(w, http.StatusForbidden, errors.New("a request without the token of its session"))
		default:
			next(w, r, s)
		}
	}
}

// bodyMost bounds what a browser may send.
const bodyMost = 16 << 10

func decode(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMost))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// answer writes a JSON value.
func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a browser that went is no trouble of ours
}

// fail writes an error as {"error": …}.
func fail(w http.ResponseWriter, code int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
}
