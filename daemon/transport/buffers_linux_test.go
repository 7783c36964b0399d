package transport

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// A datagram socket gets room for a good many trains, unless the configuration says otherwise; streams keep what the
// kernel tunes for them.
func TestReceiveBuffers(t *testing.T) {
	rcvbuf := func(fd int) int {
		n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	client, server := udpPair(t, "127.0.0.1:0", Socket{})
	for _, l := range []Link{client, server} {
		got := rcvbuf(l.(*udpLink).fd)
		raw, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		_ = unix.SetsockoptInt(raw, unix.SOL_SOCKET, unix.SO_RCVBUF, udpRcvBuf) // what anybody may have
		limit := rcvbuf(raw)
		_ = unix.Close(raw)
		if got < limit {
			t.Errorf("receive buffer of %d bytes, want at least %d", got, limit)
		}
	}
	named, err := ListenUDP(ListenConfig{Local: netip.MustParseAddrPort("127.0.0.1:0"), Socket: Socket{RcvBuf: 50000}})
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, named)
	if got := rcvbuf(named.(*udpLink).fd); got != 100000 {
		t.Errorf("receive buffer of %d bytes, want the 50000 asked for, doubled by the kernel", got)
	}
}
