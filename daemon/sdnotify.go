package daemon

import (
	"net"
	"os"
	"strings"
	"time"
)

// sdNotify sends one message to the service manager. It reports whether there is one and it took the message.
// Lines are "KEY=value", separated by newlines.
func sdNotify(state string) bool {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return false
	}
	if strings.HasPrefix(path, "@") {
		path = "\x00" + path[1:]
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
	_, err = conn.Write([]byte(state))
	return err == nil
}
