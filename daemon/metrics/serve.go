package metrics

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/moongate-vpn/moongate/mgmt/httplimit"
)

// Limits of the listener: a scrape takes milliseconds, and few programs ask.
const (
	connections  = 16
	scrapes      = 4
	scrapeLimit  = 10 * time.Second
	requestLimit = 5 * time.Second
)

// Handler answers GET /metrics.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapes, Timeout: scrapeLimit, EnableOpenMetrics: true}))
	return mux
}

// Serve answers on ln until ctx ends. It closes ln.
func (m *Metrics) Serve(ctx context.Context, ln net.Listener) error {
	return httplimit.Serve(ctx, ln, m.Handler(), httplimit.Limits{Connections: connections, Request: requestLimit, Answer: scrapeLimit + requestLimit})
}
