package script

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// httpModule is the module http: request and serve.
func (r *runtime) httpModule() *lua.LTable {
	t := r.L.NewTable()
	t.RawSetString("request", r.L.Waiting(r.L.LState, "request", r.request))
	t.RawSetString("serve", r.L.NewFunction(r.serveHTTP))
	return t
}

// request is http.request{url =, method =, headers =, body =, timeout =}: {status =, headers =, body =}, or nil and why not. Names of headers
// in the answer are in lower case.
func (r *runtime) request(L *lua.LState) int {
	need(L, r.o.Allow.HTTP, "http.request", "http")
	t := table(L, "url", "method", "headers", "body", "timeout")
	address, method := lua.LVAsString(t.RawGetString("url")), strings.ToUpper(lua.LVAsString(t.RawGetString("method")))
	if u, err := url.Parse(address); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		L.ArgError(1, fmt.Sprintf("url %q: want http:// or https:// and a host", address))
	}
	if method == "" {
		method = http.MethodGet
	}
	body := lua.LVAsString(t.RawGetString("body"))
	req, err := http.NewRequest(method, address, strings.NewReader(body)) //nolint:noctx // it gets one below
	if err != nil {
		L.ArgError(1, err.Error())
	}
	if h, ok := t.RawGetString("headers").(*lua.LTable); ok {
		h.ForEach(func(k, v lua.LValue) { req.Header.Set(k.String(), v.String()) })
	}
	d := r.timeout(L, t)
	if method != http.MethodGet && method != http.MethodHead && r.tell("http %s %s", method, req.URL.Redacted()) {
		L.Push(r.response(&http.Response{StatusCode: http.StatusOK}, ""))
		return 1
	}
	return r.act(L, d, func(ctx context.Context) func() []lua.LValue {
		resp, text, err := fetch(req.WithContext(ctx))
		return func() []lua.LValue {
			if err != nil {
				return values(nil, err)
			}
			return values(r.response(resp, text), nil)
		}
	})
}

// transport keeps connections for a while, as scripts call the same service again.
var transport = &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: 10 * time.Second}

func fetch(req *http.Request) (*http.Response, string, error) {
	c := &http.Client{Transport: transport}
	resp, err := c.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxOutput+1))
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("%s: %w", req.URL.Redacted(), err)
	case len(b) > maxOutput:
		return nil, "", fmt.Errorf("%s: the answer is longer than %d bytes", req.URL.Redacted(), maxOutput)
	}
	return resp, string(b), nil
}

func (r *runtime) response(resp *http.Response, body string) *lua.LTable {
	t, headers := r.L.NewTable(), r.L.NewTable()
	for name, v := range resp.Header {
		headers.RawSetString(strings.ToLower(name), lua.LString(strings.Join(v, ", ")))
	}
	t.RawSetString("status", lua.LNumber(resp.StatusCode))
	t.RawSetString("headers", headers)
	t.RawSetString("body", lua.LString(body))
	return t
}

// serveHTTP is http.serve(address, fn): fn gets {method =, path =, query =, headers =, body =} and returns {status =, headers =, body =}. The address is
// HOST:PORT of the loopback, or the path of a unix socket. The handle has an address and a method stop.
func (r *runtime) serveHTTP(L *lua.LState) int {
	need(L, r.o.Allow.HTTP, "http.serve", "http")
	address, fn := L.CheckString(1), L.CheckFunction(2)
	network := "unix"
	if !strings.HasPrefix(address, "/") {
		network = "tcp"
		if ap, err := netip.ParseAddrPort(address); err != nil || !ap.Addr().IsLoopback() {
			L.ArgError(1, "want 127.0.0.1:PORT, [::1]:PORT or /SOCKET: put a proxy in front for others")
		}
	} else {
		_ = os.Remove(address)
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		L.Push(lua.LNil)
		L.Push(lua.LString(err.Error()))
		return 2
	}
	srv := &http.Server{ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, MaxHeaderBytes: 64 << 10, Handler: r.webHandler(fn)}
	r.live++
	stop := func() { _ = srv.Close() }
	unhook := context.AfterFunc(r.base, stop)
	r.ops.Go(func() { _ = srv.Serve(ln) })
	stopped := false
	handle := r.handle(L, "stop", func() {
		if !stopped {
			stopped = true
			r.live--
			unhook()
			stop()
		}
	})
	handle.(*lua.LTable).RawSetString("address", lua.LString(ln.Addr().String()))
	L.Push(handle)
	return 1
}

// webHandler passes requests to the script's goroutine, as tasks of their own.
func (r *runtime) webHandler(fn *lua.LFunction) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxOutput))
		if err != nil {
			http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
			return
		}
		answer := make(chan func(http.ResponseWriter), 1)
		r.post(func() {
			if r.tasks >= maxTasks || r.draining {
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
