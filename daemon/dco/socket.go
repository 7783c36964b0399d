//go:build linux

package dco

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// ErrNoFamily means that the kernel has no family "ovpn": data packets stay in this process.
var ErrNoFamily = errors.New("the kernel has no ovpn family")

// Socket is a generic netlink socket for the family. It implements Kernel.
type Socket struct {
	family uint16
	group  uint32 // of notifications

	mu   sync.Mutex // a request and its answer are one conversation
	conn *netlink.Conn
}

// Open opens a socket of the running kernel. It returns ErrNoFamily where that has no such family.
func Open() (*Socket, error) {
	c, err := netlink.Dial(unix.NETLINK_GENERIC, &netlink.Config{Strict: true})
	if err != nil {
		return nil, fmt.Errorf("generic netlink: %w", err)
	}
	s, err := NewSocket(c)
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return s, nil
}

// NewSocket asks the generic netlink behind c for the family's number and group. It keeps c.
func NewSocket(c *netlink.Conn) (*Socket, error) {
	e := netlink.NewAttributeEncoder()
	e.String(unix.CTRL_ATTR_FAMILY_NAME, Family)
	attrs, err := e.Encode()
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	answers, err := c.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.GENL_ID_CTRL, Flags: netlink.Request | netlink.Acknowledge},
		Data:   append([]byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0}, attrs...),
	})
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil, ErrNoFamily
	case err != nil:
		return nil, fmt.Errorf("look up the family: %w", err)
	}
	s := &Socket{conn: c}
	for _, m := range answers {
		if err := s.learn(m.Data); err != nil {
			return nil, fmt.Errorf("look up the family: %w", err)
		}
	}
	if s.family == 0 || s.group == 0 {
		return nil, fmt.Errorf("look up the family: family %d, group %d: %w", s.family, s.group, ErrMessage)
	}
	return s, nil
}

// learn reads an answer of the look-up.
func (s *Socket) learn(b []byte) error {
	if len(b) < headerSize {
		return fmt.Errorf("%d bytes: %w", len(b), ErrMessage)
	}
	d, err := netlink.NewAttributeDecoder(b[headerSize:])
	if err != nil {
		return err //nolint:wrapcheck // NewSocket says what it was about
	}
	for d.Next() {
		switch d.Type() {
		case unix.CTRL_ATTR_FAMILY_ID:
			s.family = d.Uint16()
		case unix.CTRL_ATTR_MCAST_GROUPS:
			d.Nested(func(d *netlink.AttributeDecoder) error {
				for d.Next() {
					d.Nested(s.learnGroup)
				}
				return nil
			})
		}
	}
	return d.Err() //nolint:wrapcheck // as above
}

func (s *Socket) learnGroup(d *netlink.AttributeDecoder) error {
	var name string
	var id uint32
	for d.Next() {
		switch d.Type() {
		case unix.CTRL_ATTR_MCAST_GRP_NAME:
			name = d.String()
		case unix.CTRL_ATTR_MCAST_GRP_ID:
			id = d.Uint32()
		}
	}
	if name == Group {
		s.group = id
	}
	return nil
}

// Do implements Kernel.
func (s *Socket) Do(m *Message) (*Message, error) {
	b, err := m.marshal(binary.NativeEndian)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	answers, err := s.conn.Execute(netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(s.family), Flags: netlink.Request | netlink.Acknowledge}, Data: b})
	if err != nil {
		return nil, fmt.Errorf("%v: %w", m.Command, err)
	}
	for _, a := range answers {
		if a.Header.Type == netlink.HeaderType(s.family) {
			return Parse(a.Data)
		}
	}
	return nil, nil //nolint:nilnil // a command without an answer
}

// Close closes the socket.
func (s *Socket) Close() error {
	if err := s.conn.Close(); err != nil {
		return fmt.Errorf("close the netlink socket: %w", err)
	}
	return nil
}
