package script

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Bounds of requests.
const (
	maxURL     = 8 << 10  // bytes
	maxHeaders = 64 << 10 // bytes together
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
	if len(address) > maxURL {
		L.ArgError(1, fmt.Sprintf("url: at most %d bytes", maxURL))
	}
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
		for name, value := range pairs(L, h, maxHeaders) {
			req.Header.Set(name, value)
		}
	}
	d := r.timeout(L, t)
	if method != http.MethodGet && method != http.MethodHead && r.tell("http %s %s", method, req.URL.Redacted()) {
		L.Push(r.response(&http.Response{StatusCode: http.StatusOK}, ""))
		return 1
	}
	return r.act(L, d, len(body), func(ctx context.Context) func() []lua.LValue {
		resp, text, err := fetch(req.WithContext(ctx))
		if ctx.Err() != nil {
			err = fmt.Errorf("%s: no answer within %v", req.URL.Redacted(), d)
		}
		return func() []lua.LValue {
			if err != nil {
				return values(nil, err)
			}
			return values(r.response(resp, text), nil)
		}
	})
}

// transport keeps connections for a while, as scripts call the same service again.
var transport = &http.Transport{
	Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Control: noMetadata}).DialContext,
	MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
}

// metadata is an address of the metadata service of a cloud that is not link-local.
var metadata = netip.MustParseAddr("fd00:ec2::254")

// noMetadata refuses connections with link-local addresses, whatever name or redirection leads there: clouds hand out the machine's credentials on them, to
// everyone who asks.
func noMetadata(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if a := ap.Addr().WithZone("").Unmap(); a.IsLinkLocalUnicast() || a == metadata {
		return fmt.Errorf("%s is link-local: metadata of the machine is not for scripts", a)
	}
	return nil
}

func fetch(req *http.Request) (*http.Response, string, error) {
	c := &http.Client{Transport: transport}
	resp, err := c.Do(req)
	if err != nil {
		return nil, "", once(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxOutput+1))
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("%s: %w", req.URL.Redacted(), client.Ending(err))
	case len(b) > maxOutput:
		return nil, "", fmt.Errorf("%s: the answer is longer than %d bytes", req.URL.Redacted(), maxOutput)
	}
	return resp, string(b), nil
}

// once is an error of a request that names the address once.
func once(err error) error {
	var of *url.Error
	if !errors.As(err, &of) {
		return err
	}
	return fmt.Errorf("%s: %w", of.URL, client.Ending(of.Err))
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
