package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"sync"
)

// Listen listens on an address of package net's "tcp" or "unix", by ListenTCP or ListenUnix.
func Listen(network, address string) (net.Listener, error) {
	if network == "unix" {
		return ListenUnix(address)
	}
	return ListenTCP(address)
}

// ListenUnix makes a unix stream socket with mode 0777; PeerCredentials decides which of the users that connect may stay.
func ListenUnix(path string) (net.Listener, error) { return ListenUnixMode(path, 0o777, -1) }

// ListenUnixMode makes a unix stream socket of a mode and group, by number; -1 leaves the group. A socket that is in the way is
// removed, anything else is an error (stock removes whatever there is). The socket is removed when the listener is closed,
// unless another one took its place.
func ListenUnixMode(path string, mode fs.FileMode, gid int) (net.Listener, error) {
	if st, err := os.Lstat(path); err == nil {
		if st.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("management socket %s: something that is no socket is in the way", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("management socket %s: %w", path, err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("management socket %s: %w", path, err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	u := &unixListener{UnixListener: ln.(*net.UnixListener), path: path}
	u.SetUnlinkOnClose(false)
	if u.made, err = os.Lstat(path); err == nil {
		if err = os.Chmod(path, mode); err == nil && gid >= 0 {
			err = os.Chown(path, -1, gid)
		}
	}
	if err != nil {
		u.Close()
		return nil, fmt.Errorf("management socket %s: %w", path, err)
	}
	return u, nil
}

// unixListener removes its socket, and no other: a daemon that was started again may be at the path already.
type unixListener struct {
	*net.UnixListener
	path string
	made fs.FileInfo
	once sync.Once
}

// Close implements net.Listener.
func (u *unixListener) Close() error {
	u.once.Do(func() {
		if st, err := os.Lstat(u.path); err == nil && os.SameFile(st, u.made) {
			_ = os.Remove(u.path) // without the rights it stays, as with stock
		}
	})
	return u.UnixListener.Close()
}

// ListenTCP listens on HOST:PORT. An IPv4 literal, 0.0.0.0 included, is reached by IPv4 alone; "::" by both, as with stock.
func ListenTCP(address string) (net.Listener, error) {
	network := "tcp"
	if a, err := netip.ParseAddrPort(address); err == nil && a.Addr().Is4() {
		network = "tcp4" // package net would make a dual stack socket of 0.0.0.0
	}
	return net.Listen(network, address)
}

// TLSConfig is the TLS of a listener with this certificate. With clientCA, PEM, clients must show one of these authorities.
func TLSConfig(cert tls.Certificate, clientCA []byte) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	if clientCA == nil {
		return cfg, nil
	}
	cfg.ClientCAs, cfg.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !cfg.ClientCAs.AppendCertsFromPEM(clientCA) {
		return nil, errors.New("it holds no certificate")
	}
	return cfg, nil
}

// ListenTLS wraps a listener. Handshakes run on the goroutine of each session, under its time limit.
func ListenTLS(ln net.Listener, cfg *tls.Config) net.Listener { return tls.NewListener(ln, cfg) }
