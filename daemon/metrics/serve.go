package metrics

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
)

// Limits of the listener: a scrape takes milliseconds, and few programs ask.
const (
	connections  = 16
	scrapes      = 4
	scrapeLimit  = 10 * time.Second
	requestLimit = 5 * time.Second
	idleLimit    = 2 * time.Minute
	headerBytes  = 16 << 10
)

// Handler answers GET /metrics.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapes, Timeout: scrapeLimit, EnableOpenMetrics: true}))
	return mux
}

// Serve answers on ln until ctx ends. It closes ln.
func (m *Metrics) Serve(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler: m.Handler(), ReadTimeout: requestLimit, WriteTimeout: scrapeLimit + requestLimit, IdleTimeout: idleLimit, MaxHeaderBytes: headerBytes,
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(ratelimit.Listener(ln, connections)); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
