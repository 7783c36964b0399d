//go:build linux

package dco_test

import (
	"errors"
	"testing"

	"github.com/mdlayher/netlink"
	"github.com/mdlayher/netlink/nltest"
	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/daemon/dco"
)

// family answers the look-up as the kernel does.
func family(t *testing.T, id uint16, groups map[string]uint32) []byte {
	t.Helper()
	e := netlink.NewAttributeEncoder()
	e.Uint16(unix.CTRL_ATTR_FAMILY_ID, id)
	e.String(unix.CTRL_ATTR_FAMILY_NAME, dco.Family)
	e.Nested(unix.CTRL_ATTR_MCAST_GROUPS, func(e *netlink.AttributeEncoder) error {
		n := uint16(0)
		for name, id := range groups {
			n++
			e.Nested(n, func(e *netlink.AttributeEncoder) error {
				e.String(unix.CTRL_ATTR_MCAST_GRP_NAME, name)
				e.Uint32(unix.CTRL_ATTR_MCAST_GRP_ID, id)
				return nil
			})
		}
		return nil
	})
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{unix.CTRL_CMD_NEWFAMILY, 2, 0, 0}, b...)
}

// A socket finds the family by its name, sends commands to its number, and gives back answers and refusals.
func TestSocket(t *testing.T) {
	const number = 0x23
	var asked []dco.Command
	c := nltest.Dial(func(req []netlink.Message) ([]netlink.Message, error) {
		if len(req) == 0 {
			return nil, nil
		}
		h := req[0].Header
		if h.Type == unix.GENL_ID_CTRL {
			return nltest.Multipart([]netlink.Message{{Header: netlink.Header{Type: unix.GENL_ID_CTRL, Sequence: h.Sequence, PID: h.PID}, Data: family(t, number, map[string]uint32{"other": 8, dco.Group: 9})},
				{Header: netlink.Header{Sequence: h.Sequence, PID: h.PID}}})
		}
		m, err := dco.Parse(req[0].Data)
		if err != nil || h.Type != number || h.Flags != netlink.Request|netlink.Acknowledge {
			t.Errorf("request %+v: %v", h, err)
			return nltest.Error(int(unix.EINVAL), req)
		}
		asked = append(asked, m.Command)
		switch m.Command {
		case dco.PeerGet:
			return []netlink.Message{{Header: netlink.Header{Type: number, Sequence: h.Sequence, PID: h.PID}, Data: req[0].Data}}, nil
		case dco.PeerDel:
			return nltest.Error(int(unix.ENOENT), req)
		default:
			return nltest.Error(0, req)
		}
	})
	s, err := dco.NewSocket(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a fake
	peer := &dco.Peer{ID: 5}
	if m, err := s.Do(&dco.Message{Command: dco.PeerSet, Ifindex: 7, Peer: peer}); err != nil || m != nil {
		t.Errorf("peer-set: %v, %v", m, err)
	}
	if m, err := s.Do(&dco.Message{Command: dco.PeerGet, Ifindex: 7, Peer: peer}); err != nil || m == nil || m.Peer == nil || m.Peer.ID != 5 || m.Ifindex != 7 {
		t.Errorf("peer-get: %+v, %v", m, err)
	}
	if _, err := s.Do(&dco.Message{Command: dco.PeerDel, Ifindex: 7, Peer: peer}); !errors.Is(err, unix.ENOENT) {
		t.Errorf("peer-del: %v", err)
	}
	if len(asked) != 3 {
		t.Errorf("asked %v", asked)
	}
}

// A kernel without the family, or one that answers something else, gives no socket.
func TestNoSocket(t *testing.T) {
	answer := func(data []byte) nltest.Func {
		return func(req []netlink.Message) ([]netlink.Message, error) {
			if data == nil {
				return nltest.Error(int(unix.ENOENT), req)
			}
			return []netlink.Message{{Header: netlink.Header{Type: unix.GENL_ID_CTRL, Sequence: req[0].Header.Sequence, PID: req[0].Header.PID}, Data: data}}, nil
		}
	}
	for name, tt := range map[string]struct {
		data []byte
		want error
	}{
		"no family": {nil, dco.ErrNoFamily}, "no group": {family(t, 3, nil), dco.ErrMessage}, "no number": {family(t, 0, map[string]uint32{dco.Group: 1}), dco.ErrMessage},
		"nothing": {[]byte{1}, dco.ErrMessage},
	} {
		if _, err := dco.NewSocket(nltest.Dial(answer(tt.data))); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	s, err := dco.Open() // of this machine
	if err == nil {
		_ = s.Close()
	} else if !errors.Is(err, dco.ErrNoFamily) {
		t.Errorf("this kernel: %v", err)
	}
}
