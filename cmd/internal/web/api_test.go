package web

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// visitor is a browser without a screen.
type visitor struct {
	t      *testing.T
	own    string
	cookie string
	token  string
}

// ask sends a request and returns status and body.
func (v *visitor) ask(method, path string, body any, headers ...string) (int, string, http.Header) {
	v.t.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			v.t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.own+path, in)
	if err != nil {
		v.t.Fatal(err)
	}
	if v.cookie != "" {
		r.AddCookie(&http.Cookie{Name: cookieName, Value: v.cookie})
	}
	if v.token != "" {
		r.Header.Set(tokenHeader, v.token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	for _, c := range resp.Cookies() {
		if c.Name == cookieName {
			v.cookie = c.Value
			if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
				v.t.Errorf("the cookie is open: %v", c)
			}
		}
	}
	return resp.StatusCode, string(b), resp.Header
}

// login logs in.
func (v *visitor) login(password string) {
	v.t.Helper()
	code, body, _ := v.ask("POST", "login", map[string]string{"password": password})
	var m me
	if err := json.Unmarshal([]byte(body), &m); code != http.StatusOK || err != nil {
		v.t.Fatalf("login: %d %s", code, body)
	}
	v.token = m.Token
}

func newVisitor(t *testing.T, own string) *visitor { return &visitor{t: t, own: own} }

// ready waits until the page has its daemon.
func (v *visitor) ready() {
	v.t.Helper()
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if code, _, _ := v.ask("GET", "api/version", nil); code == http.StatusOK {
			return
		}
		if time.Now().After(end) {
			v.t.Fatal("the page does not reach its daemon")
		}
	}
}

// Who may do what, and what another site's page cannot.
func TestAccess(t *testing.T) {
	d, dial := crowd(t, 3)
	own := serve(t, Config{Dial: dial, Passwords: []Password{{"look", mgmt.RoleObserve}, {"act", mgmt.RoleOperate}, {"", mgmt.RoleAdmin}}})
	stranger, observer, operator := newVisitor(t, own), newVisitor(t, own), newVisitor(t, own)
	observer.login("look")
	operator.login("act")
	operator.ready()
	kill := killing{ID: "1"}
	without := *operator
	without.token = ""
	other := *operator
	other.token = observer.token
	for _, tt := range []struct {
		name    string
		who     *visitor
		method  string
		path    string
		body    any
		headers []string
		want    int
	}{
		{name: "the page", who: stranger, method: "GET", path: "", want: 200},
		{name: "its script", who: stranger, method: "GET", path: "app.js", want: 200},
		{name: "no listing", who: stranger, method: "GET", path: "files/", want: 404},
		{name: "a stranger looks", who: stranger, method: "GET", path: "api/clients", want: 401},
		{name: "a stranger listens", who: stranger, method: "GET", path: "api/events", want: 401},
		{name: "a stranger kills", who: stranger, method: "POST", path: "api/kill", body: kill, want: 401},
		{name: "no password", who: newVisitor(t, own), method: "POST", path: "login", body: map[string]string{"password": ""}, want: 401},
		{name: "an observer looks", who: observer, method: "GET", path: "api/clients", want: 200},
		{name: "status", who: observer, method: "GET", path: "api/status", want: 200},
		{name: "log", who: observer, method: "GET", path: "api/log", want: 200},
		{name: "no journal", who: observer, method: "GET", path: "api/history", want: 404},
		{name: "an observer kills", who: observer, method: "POST", path: "api/kill", body: kill, want: 403},
		{name: "without the token", who: &without, method: "POST", path: "api/kill", body: kill, want: 403},
		{name: "with another's token", who: &other, method: "POST", path: "api/kill", body: kill, want: 403},
		{name: "from another site", who: operator, method: "POST", path: "api/kill", body: kill, headers: []string{"Sec-Fetch-Site", "cross-site"}, want: 403},
		{name: "from another origin", who: operator, method: "POST", path: "api/kill", body: kill, headers: []string{"Origin", "https://evil.example"}, want: 403},
		{name: "a login from elsewhere", who: stranger, method: "POST", path: "login", body: map[string]string{"password": "act"}, headers: []string{"Sec-Fetch-Site", "cross-site"}, want: 403},
		{name: "a kill by GET", who: operator, method: "GET", path: "api/kill", want: 404},
		{name: "nobody there", who: operator, method: "POST", path: "api/kill", body: killing{ID: "77"}, want: 404},
		{name: "two lines", who: operator, method: "POST", path: "api/kill", body: killing{ID: "1", Reason: "a\nkill laptop-00002"}, want: 400},
		{name: "a long reason", who: operator, method: "POST", path: "api/kill", body: killing{ID: "1", Reason: strings.Repeat("x", 201)}, want: 400},
		{name: "a ban without a folder", who: operator, method: "POST", path: "api/kill", body: killing{ID: "1", Ban: true}, want: 400},
		{name: "nonsense", who: operator, method: "POST", path: "api/kill", body: "x", want: 400},
		{name: "a large body", who: operator, method: "POST", path: "api/kill", body: killing{ID: strings.Repeat("x", 1<<20)}, want: 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, body, h := tt.who.ask(tt.method, tt.path, tt.body, tt.headers...)
			if code != tt.want {
				t.Errorf("%d, want %d: %s", code, tt.want, body)
			}
			if h.Get("Content-Security-Policy") == "" || strings.Contains(h.Get("Content-Security-Policy"), "unsafe") || h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers %v", h)
			}
		})
	}
	if calls := strings.Join(d.Ctl.Calls(), " "); strings.Contains(calls, "Kill") {
		t.Fatalf("one of them was obeyed: %s", calls)
	}
	code, body, _ := operator.ask("POST", "api/kill", kill)
	var done killed
	if err := json.Unmarshal([]byte(body), &done); code != 200 || err != nil || done.Banned || done.Text != "laptop-00001 was disconnected. It may connect again." || len(done.Clients) != 1 {
		t.Errorf("%d %s", code, body)
	}
	if calls := strings.Join(d.Ctl.Calls(), " "); !strings.Contains(calls, "KillAddr 192.0.0.3:40000") {
		t.Errorf("calls %s", calls)
	}
	if code, _, _ := operator.ask("POST", "logout", nil); code != 204 {
		t.Errorf("logout %d", code)
	}
	if code, _, _ := operator.ask("GET", "api/clients", nil); code != 401 {
		t.Errorf("after the logout %d", code)
	}
}

// Guesses are slow.
func TestGuessing(t *testing.T) {
	_, dial := crowd(t, 0)
	own := serve(t, Config{Dial: dial})
	late := 0
	for range 3 * guessesAtOnce {
		if code, _, _ := newVisitor(t, own).ask("POST", "login", map[string]string{"password": "guess"}); code == http.StatusTooManyRequests {
			late++
		}
	}
	if late == 0 {
		t.Error("as many guesses as one likes")
	}
}

// A ban keeps what is in a file, and leaves alone what is no name of a client.
func TestBan(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	for path, text := range map[string]string{filepath.Join(dir, "fixed"): "ifconfig-push 10.8.0.9 255.255.255.0\n", filepath.Join(dir, "banned"): "# away\n disable \n", outside: "x"} {
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o750); err != nil {
		t.Fatal(err)
	}
	b := &bans{dir}
	for name, want := range map[string]string{"new one": "disable\n", "fixed": "disable\nifconfig-push 10.8.0.9 255.255.255.0\n", "banned": "# away\n disable \n"} {
		where, err := b.add(name)
		if err != nil || where != filepath.Join(dir, name) {
			t.Errorf("%s: %s %v", name, where, err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"", ".", "..", "../x", "a/b", ".hidden", "link", "folder", "a\x00b", "/etc/passwd"} {
		if where, err := b.add(name); err == nil {
			t.Errorf("%q is banned in %s", name, where)
		}
	}
	if got, _ := os.ReadFile(outside); string(got) != "x" {
		t.Errorf("a file outside holds %q", got)
	}
	var none *bans
	if _, err := none.add("x"); err == nil {
		t.Error("banned without a folder")
	}
}

// event reads one server-sent event.
func event(t *testing.T, r *bufio.Reader) (name string, data []byte) {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		line = strings.TrimSuffix(line, "\n")
		if v, ok := strings.CutPrefix(line, "event: "); ok {
			name = v
		} else if v, ok := strings.CutPrefix(line, "data: "); ok {
			data = []byte(v)
		} else if line == "" {
			return name, data
		}
	}
}

// A stream begins with everything and goes on with what changes, over a loss of the daemon's session too.
func TestStream(t *testing.T) {
	d, dial := crowd(t, 3)
	own := serve(t, Config{Dial: dial})
	v := newVisitor(t, own)
	v.login("moonlight")
	v.ready()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, own+"api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: cookieName, Value: v.cookie})
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	have := make(map[string]row)
	next := func(until func() bool) {
		t.Helper()
		for !until() {
			name, data := event(t, in)
			if name != "clients" {
				continue
			}
			var c change
			if err := json.Unmarshal(data, &c); err != nil {
				t.Fatal(err)
			}
			if c.All {
				clear(have)
			}
			for _, p := range c.Put {
				have[p.ID] = p
			}
			for _, m := range c.Moved {
				p := have[m[0].(string)]
				p.BytesReceived, p.BytesSent = uint64(m[1].(float64)), uint64(m[2].(float64))
				have[p.ID] = p
			}
			for _, id := range c.Gone {
				delete(have, id)
			}
		}
	}
	next(func() bool { return len(have) == 3 })
	list := peers(5)[1:]
	list[0].Count.In = 77
	d.Ctl.SetPeers(list...)
	d.Server.ClientEstablished(server.ClientEvent{CID: 4})
	next(func() bool { return len(have) == 4 && have["1"].BytesReceived == 77 && have["0"].ID == "" })
	d.Server.Begin()
}

// The status is read while a browser is there, and for nobody else.
func TestNobodyLooks(t *testing.T) {
	t.Parallel()
	d, dial := crowd(t, 1)
	d.Ctl.SetVerb(3) // logs commands
	own := serve(t, Config{Dial: dial})
	v := newVisitor(t, own)
	v.login("moonlight")
	v.ready()
	c, err := dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	looks := func() int {
		t.Helper()
		r, err := c.Cmd(t.Context(), "log all")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(strings.Join(r.Raw, "\n"), "CMD 'status")
	}
	reach := func(n int) {
		t.Helper()
		for end := time.Now().Add(15 * time.Second); looks() < n; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("the status was read %d times, want %d", looks(), n)
			}
		}
	}
	reach(1) // of the session
	d.Server.ClientEstablished(server.ClientEvent{CID: 0})
	time.Sleep(interval + interval/4) // longer than between two
	if n := looks(); n != 1 {
		t.Errorf("the status was read %d times without a browser", n)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, own+"api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: cookieName, Value: v.cookie})
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	reach(3) // at once, and again
}
