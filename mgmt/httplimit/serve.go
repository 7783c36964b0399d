// Package httplimit serves HTTP so that no peer can hold or fill anything: metrics, the web page, other nodes of a fleet and scripts share it.
package httplimit

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// Limits bound what one server does for its peers. Zero fields have the values that are named.
type Limits struct {
	Connections int           // at a time, 64; one more ends the oldest that has no answer under way
	Wait        bool          // when all have one, one more waits instead of being closed
	Head        time.Duration // to read the head of a request, as Request
	Request     time.Duration // to read a request, 10 s
	Answer      time.Duration // from the head of a request to the end of its answer; 0 is no limit, for streams that set their own
	HeaderBytes int           // 16 KiB
	Leave       time.Duration // for answers under way at the end; 0 cuts them off

	TLS *tls.Config // nil: without
}

// idle is how long a connection without a request stays.
const idle = time.Minute

// Listener bounds the connections of ln, for Server.
func (l Limits) Listener(ln net.Listener) net.Listener {
	return newListener(ln, cmp.Or(l.Connections, 64), l.Wait)
}

// Server is a server of h with these limits, for what Listener returns; Leave is not its own. Contexts of requests end with ctx.
func (l Limits) Server(ctx context.Context, h http.Handler) *http.Server {
	request := cmp.Or(l.Request, 10*time.Second)
	return &http.Server{
		Handler: counted(h), ConnContext: withPeer, ConnState: written, ReadHeaderTimeout: cmp.Or(l.Head, request), ReadTimeout: request, WriteTimeout: l.Answer, IdleTimeout: idle,
		MaxHeaderBytes: cmp.Or(l.HeaderBytes, 16<<10), BaseContext: func(net.Listener) context.Context { return ctx }, ErrorLog: log.New(faults{}, "", 0),
	}
}

// Serve answers on ln until ctx ends, and then lets answers finish for as long as they may. It closes ln. Contexts of requests end with it. The error is
// nil after the end of ctx.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, l Limits) error {
	ln = l.Listener(ln)
	if l.TLS != nil {
		ln = tls.NewListener(ln, l.TLS)
	}
	base, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	defer cutOff()
	srv := l.Server(base, h)
	over := make(chan error, 1)
	go func() { over <- srv.Serve(ln) }()
	select {
	case err := <-over:
		srv.Close()
		return err
	case <-ctx.Done():
	}
	leaving, cancel := context.WithTimeout(base, l.Leave)
	defer cancel()
	if srv.Shutdown(leaving) != nil {
		cutOff()
		srv.Close()
	}
	if err := <-over; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// faults passes on what net/http says about handlers that fail. What it says about connections before the login could fill any log.
type faults struct{}

func (faults) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), "http: panic") {
		return os.Stderr.Write(p)
	}
	return len(p), nil
}
