package script

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/mgmt/httplimit"
	lua "github.com/yuin/gopher-lua"
)

// Bounds of what is served.
const (
	maxServers = 8
	maxConns   = 64            // of a server; one more ends the oldest that asks for nothing, or waits
	smallBody  = 16 << 10      // a request this short, by its own word, does not wait for others
	maxBodies  = 8 * maxOutput // of the requests of all servers that are read or answered; others wait

	writeWithin = 30 * time.Second // for a peer to read its answer

	serveOn = 500 * time.Millisecond // of a version that was replaced: connections that wait for it, or have just come, get their answers
)

var serveLimits = httplimit.Limits{
	Connections: maxConns, Wait: true, Head: 10 * time.Second, Request: 30 * time.Second, HeaderBytes: maxHeaders,
}

// webServer is one http.serve. It listens from the moment on that the script may begin to handle events: while a new version of a script is
// proven, the old one still has the address.
type webServer struct {
	r    *runtime
	at   *address
	srv  *http.Server
	stop func() // nil while it does not listen
	over bool
}

// serveHTTP is http.serve(address, fn): fn gets {method =, path =, query =, headers =, body =} and returns {status =, headers =, body =}. The address is
// HOST:PORT of the loopback, or the path of a unix socket. The handle has an address and a method stop.
func (r *runtime) serveHTTP(L *lua.LState) int {
	need(L, r.o.Allow.HTTP, "http.serve", "http")
	text, fn := L.CheckString(1), L.CheckFunction(2)
	network := "unix"
	if !strings.HasPrefix(text, "/") {
		network = "tcp"
		if ap, err := netip.ParseAddrPort(text); err != nil || !ap.Addr().IsLoopback() {
			L.ArgError(1, "want 127.0.0.1:PORT, [::1]:PORT or /SOCKET: put a proxy in front for others")
		}
	}
	if r.draining {
		L.RaiseError("the script is about to end")
	}
	if len(r.servers) >= maxServers {
		return push(L, nil, fmt.Errorf("%d servers of this script are open", maxServers))
	}
	at, err := r.reserve(network, text)
	if err != nil {
		return push(L, nil, fmt.Errorf("serve %s: %w", text, err))
	}
	s := &webServer{r: r, at: at, srv: serveLimits.Server(r.base, r.webHandler(fn))}
	r.servers = append(r.servers, s)
	r.live++
	if r.o.control.begin == nil {
		if err := s.listen(); err != nil {
			s.end()
			return push(L, nil, fmt.Errorf("serve %s: %w", text, err))
		}
	}
	handle := r.handle(L, "stop", s.end)
	handle.(*lua.LTable).RawSetString("address", lua.LString(at.name))
	L.Push(handle)
	return 1
}

// listen begins to serve.
func (s *webServer) listen() error {
	bare, err := s.at.listen()
	if err != nil {
		return err
	}
	ln := serveLimits.Listener(bare)
	context.AfterFunc(s.r.base, func() { _ = s.srv.Close() })
	s.stop = func() {
		_ = ln.Close()                                      // now: the address is free when this returns
		s.r.ops.Go(func() { _ = s.srv.Shutdown(s.r.base) }) // what is being answered goes on
	}
	s.r.ops.Go(func() { _ = s.srv.Serve(ln) })
	return nil
}

// end stops serving and forgets the server.
func (s *webServer) end() {
	if s.over {
		return
	}
	s.over = true
	if !s.r.draining {
		s.r.live--
	}
	for i, x := range s.r.servers {
		if x == s {
			s.r.servers = append(s.r.servers[:i:i], s.r.servers[i+1:]...)
			break
		}
	}
	if s.stop != nil {
		s.stop()
	}
	s.at.leave()
	s.r.o.Addresses.Leave(s.at.name)
}

// startServers lets what was set up before the script might begin listen.
func (r *runtime) startServers() {
	for _, s := range r.servers {
		if s.stop == nil {
			if err := s.listen(); err != nil {
				r.log.Error("not served", "address", s.at.name, "err", err)
			}
		}
	}
}

// stopServers ends all servers.
func (r *runtime) stopServers() {
	for len(r.servers) > 0 {
		r.servers[0].end()
	}
}

// webHandler passes requests to the script's goroutine, as tasks of their own.
func (r *runtime) webHandler(fn *lua.LFunction) http.Handler {
	bodies := r.bodies
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		size := int64(maxOutput)
		if req.ContentLength >= 0 {
			size = min(size, req.ContentLength)
		}
		if size > smallBody { // slow ones hold up nothing that is small
			if err := bodies.Acquire(req.Context(), size); err != nil {
				return // the client has gone
			}
			defer bodies.Release(size)
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxOutput))
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			http.Error(w, "the request did not come whole", http.StatusRequestTimeout)
			return
		}
		answer := make(chan func(http.ResponseWriter), 1)
		r.post(func() {
			if r.tasks >= maxTasks {
				answer <- func(w http.ResponseWriter) { http.Error(w, "busy", http.StatusServiceUnavailable) }
				return
			}
			answered := false
			r.start(&task{what: "http request", fn: fn, event: r.webRequest(req, string(body)), limit: r.o.HandlerTimeout, result: func(v lua.LValue) {
				answered = true
				answer <- webAnswer(v)
			}, finish: func() {
				if !answered {
					answer <- func(w http.ResponseWriter) { http.Error(w, "the script failed", http.StatusInternalServerError) }
				}
			}})
		})
		select {
		case write := <-answer:
			_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeWithin)) // the answer may have taken its time
			write(w)
		case <-r.base.Done():
		case <-req.Context().Done():
		}
	})
}

func (r *runtime) webRequest(req *http.Request, body string) lua.LValue {
	t, query, headers := r.L.NewTable(), r.L.NewTable(), r.L.NewTable()
	for k, v := range req.URL.Query() {
		query.RawSetString(k, lua.LString(v[0]))
	}
	for k, v := range req.Header {
		headers.RawSetString(strings.ToLower(k), lua.LString(strings.Join(v, ", ")))
	}
	t.RawSetString("method", lua.LString(req.Method))
	t.RawSetString("path", lua.LString(req.URL.Path))
	t.RawSetString("query", query)
	t.RawSetString("headers", headers)
	t.RawSetString("body", lua.LString(body))
	return t
}

// webAnswer reads what the script returned, on its goroutine, into something that needs it no more.
func webAnswer(v lua.LValue) func(http.ResponseWriter) {
	status, body, headers := http.StatusOK, "", map[string]string{}
	switch v := v.(type) {
	case lua.LString:
		body = string(v)
	case *lua.LTable:
		if n, ok := v.RawGetString("status").(lua.LNumber); ok && n >= 100 && n <= 599 {
			status = int(n)
		}
		body = lua.LVAsString(v.RawGetString("body"))
		if h, ok := v.RawGetString("headers").(*lua.LTable); ok {
			h.ForEach(func(k, v lua.LValue) { headers[k.String()] = v.String() })
		}
	default:
		status = http.StatusNoContent
	}
	return func(w http.ResponseWriter) {
		for k, v := range headers {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}
