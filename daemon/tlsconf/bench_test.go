package tlsconf_test

import (
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// BenchmarkHandshake is a handshake of both ends with all checks of certificates, without the control channel. cpu-us/op is the
// processor time of both.
func BenchmarkHandshake(b *testing.B) {
	ca, err := pki.NewCA("Lab CA")
	if err != nil {
		b.Fatal(err)
	}
	client, err := ca.Issue(pki.Spec{Name: "client1"})
	if err != nil {
		b.Fatal(err)
	}
	server, err := ca.Issue(pki.Spec{Name: "server", Server: true})
	if err != nil {
		b.Fatal(err)
	}
	crl, err := ca.CRL(time.Now().Add(time.Hour))
	if err != nil {
		b.Fatal(err)
	}
	end := func(o tlsconf.Options) *tlsconf.Config {
		c, err := tlsconf.Build(o)
		if err != nil {
			b.Fatal(err)
		}
		return c
	}
	c := end(tlsconf.Options{CA: ca.PEM, Cert: client.CertPEM, Key: client.KeyPEM})
	s := end(tlsconf.Options{CA: ca.PEM, Cert: server.CertPEM, Key: server.KeyPEM, Server: true, Verify: tlsconf.Verify{CRL: crl}})
	b.ReportAllocs()
	start := daemontest.ProcessorTime(b)
	for b.Loop() {
		if _, _, err := shake(b, c.TLS(tlsconf.Hooks{}), s.TLS(tlsconf.Hooks{})); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(daemontest.ProcessorTime(b)-start)/1000/float64(b.N), "cpu-us/op")
}
