package client_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/moongate-vpn/moongate/mgmt/client"
)

// A port that wants a certificate of ours, and gets none.
func TestTLSCertificateRefused(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	pool := x509.NewCertPool()
	pool.AddCert(web.Certificate())
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
			Certificates: web.TLS.Certificates, ClientAuth: tls.RequireAnyClientCert, MaxVersion: version,
		})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if conn, err := ln.Accept(); err == nil {
				_ = conn.(*tls.Conn).HandshakeContext(t.Context()) // it fails
				conn.Close()
			}
		}()
		_, err = client.Dial(t.Context(), "tls://"+ln.Addr().String(), client.Options{TLS: &tls.Config{RootCAs: pool}})
		if !errors.Is(err, client.ErrCertificate) {
			t.Errorf("version %x: %v, want ErrCertificate", version, err)
		}
		ln.Close()
		<-done
	}
}

func TestTLS(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: web.TLS.Certificates})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte(greeting))
			buf := make([]byte, 100)
			if _, err := conn.Read(buf); err == nil {
				conn.Write([]byte("SUCCESS: pid=9\r\n"))
			}
			conn.Close()
		}
	}()
	defer func() { ln.Close(); <-done }()

	pool := x509.NewCertPool()
	pool.AddCert(web.Certificate())
	c, err := client.Dial(t.Context(), "tls://"+ln.Addr().String(), client.Options{TLS: &tls.Config{RootCAs: pool}})
	if err != nil {
		t.Fatal(err)
	}
	if pid, err := c.PID(t.Context()); pid != 9 || err != nil {
		t.Errorf("pid %d, %v", pid, err)
	}
	c.Close()

	var un *client.UnreachableError
	if _, err := client.Dial(t.Context(), "tls://"+ln.Addr().String(), client.Options{}); !errors.As(err, &un) {
		t.Errorf("an unknown authority: %v", err)
	}
}
