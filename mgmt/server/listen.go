package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
)

// ListenUnix makes a unix stream socket that everybody may connect to, mode 0777; who may stay is PeerCredentials' to say.
// A socket that is in the way is removed, anything else is an error (stock removes whatever there is). The socket is
// removed when the listener is closed.
func ListenUnix(path string) (net.Listener, error) {
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
	if err := os.Chmod(path, 0o777); err != nil {
		ln.Close()
		return nil, fmt.Errorf("management socket %s: %w", path, err)
	}
	return ln, nil
}

// ListenTLS wraps a listener. Handshakes run on the goroutine of each session, under its time limit.
func ListenTLS(ln net.Listener, cfg *tls.Config) net.Listener { return tls.NewListener(ln, cfg) }
