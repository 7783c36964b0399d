package sink

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/moongate-vpn/moongate/daemon/journal"
)

// Headers of a delivery.
const (
	timeHeader      = "X-Moongate-Time"      // seconds since 1970, of this attempt
	deliveryHeader  = "X-Moongate-Delivery"  // the same for each attempt of a batch
	signatureHeader = "X-Moongate-Signature" // "sha256=" and sign in hexadecimal
)

// requestLimit bounds a request, and answerMost what is read of its answer.
const (
	requestLimit = 10 * time.Second
	answerMost   = 64 << 10
)

// sign is the HMAC of a delivery: HMAC-SHA256 with the secret over time, a dot, and the body.
func sign(secret []byte, at string, body []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(at + "."))
	h.Write(body)
	return h.Sum(nil)
}

type webhook struct {
	url    string
	secret []byte
	client *http.Client
}

// NewWebhook returns a sink that posts events to a web service: a JSON value a line, at most 100 in a request. secret signs them; none for no
// signature. A request that fails is repeated, with the same delivery id, until it is taken or refused (a status of 400 to 499 but 408 and 429).
func NewWebhook(to string, secret []byte, log func(format string, args ...any)) (*Sink, error) {
	return newWebhook(to, secret, log, pauses{time.Second, time.Minute})
}

func newWebhook(to string, secret []byte, log func(format string, args ...any), p pauses) (*Sink, error) {
	u, err := url.Parse(to)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool() // now: a chroot has none
	if err != nil {
		return nil, err
	}
	w := &webhook{url: to, secret: secret, client: &http.Client{
		Timeout:       requestLimit,
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, MaxIdleConns: 1, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // events go where they were sent
	}}
	return newSink("webhook "+u.Host, w, log, p), nil
}

func (w *webhook) put(ctx context.Context, id string, batch []journal.Event) (taken int, err error) {
	var body bytes.Buffer
	lines := json.NewEncoder(&body)
	for _, e := range batch {
		if err := lines.Encode(e); err != nil {
			return 0, &neverError{err}
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body.Bytes()))
	if err != nil {
		return 0, &neverError{err}
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	r.Header.Set("Content-Type", "application/x-ndjson")
	r.Header.Set("User-Agent", "moongate")
	r.Header.Set(timeHeader, at)
	r.Header.Set(deliveryHeader, id)
	if len(w.secret) > 0 {
		r.Header.Set(signatureHeader, "sha256="+hex.EncodeToString(sign(w.secret, at, body.Bytes())))
	}
	resp, err := w.client.Do(r)
	if err != nil {
		return 0, hideURL(err)
	}
	defer resp.Body.Close()                                           //nolint:errcheck // the status counts
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, answerMost)) // so that the connection can be used again
	switch code := resp.StatusCode; {
	case code < 300:
		return len(batch), nil
	case code < 500 && code != http.StatusRequestTimeout && code != http.StatusTooManyRequests:
		return 0, &neverError{fmt.Errorf("it answers %s", resp.Status)}
	default:
		return 0, fmt.Errorf("it answers %s", resp.Status)
	}
}

// hideURL leaves the address out of an error: a path may be what lets us in.
func hideURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
