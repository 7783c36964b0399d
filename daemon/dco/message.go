package dco

import (
	"encoding/binary"
	"fmt"

	"github.com/mdlayher/netlink"
)

// headerSize is the size of the generic netlink header in front of the attributes, in bytes.
const headerSize = 4

// Message is one message of the family. Commands about peers carry Peer, those about keys Key; a dump of all peers carries
// neither.
type Message struct {
	Command Command
	Ifindex uint32
	Peer    *Peer
	Key     *Key
}

// MarshalBinary returns what follows the netlink header. It returns ErrValue for what the kernel would refuse.
func (m *Message) MarshalBinary() ([]byte, error) { return m.marshal(binary.NativeEndian) }

func (m *Message) marshal(order byteOrder) ([]byte, error) {
	e := netlink.NewAttributeEncoder()
	e.ByteOrder = order
	e.Uint32(attrIfindex, m.Ifindex)
	switch {
	case m.Command < PeerNew || m.Command > KeyDel:
		return nil, fmt.Errorf("command %d: %w", m.Command, ErrValue)
	case m.Command.aboutKey() && (m.Key == nil || m.Peer != nil), !m.Command.aboutKey() && m.Key != nil:
		return nil, fmt.Errorf("%v with the wrong kind of object: %w", m.Command, ErrValue)
	case m.Key != nil:
		e.Nested(attrKeyconf, func(e *netlink.AttributeEncoder) error { return m.Key.encode(m.Command, e) })
	case m.Peer != nil:
		e.Nested(attrPeer, m.Peer.encode)
	case m.Command != PeerGet:
		return nil, fmt.Errorf("%v without a peer: %w", m.Command, ErrValue)
	}
	b, err := e.Encode()
	if err != nil {
		return nil, fmt.Errorf("encode %v: %w", m.Command, err)
	}
	return append([]byte{byte(m.Command), Version, 0, 0}, b...), nil
}

// Parse reads what follows the netlink header of a reply or notification. b is not kept. It returns ErrMessage, or the error of
// the attribute decoder, for what is malformed; unknown attributes are passed over.
func Parse(b []byte) (*Message, error) { return parse(b, binary.NativeEndian) }

func parse(b []byte, order byteOrder) (*Message, error) {
	if len(b) < headerSize {
		return nil, fmt.Errorf("%d bytes: %w", len(b), ErrMessage)
	}
	m := &Message{Command: Command(b[0])}
	if m.Command < PeerNew || m.Command > KeyDel {
		return nil, fmt.Errorf("command %d: %w", m.Command, ErrMessage)
	}
	d, err := netlink.NewAttributeDecoder(b[headerSize:])
	if err != nil {
		return nil, fmt.Errorf("parse %v: %w", m.Command, err)
	}
	d.ByteOrder = order
	for d.Next() {
		switch d.Type() {
		case attrIfindex:
			m.Ifindex = d.Uint32()
		case attrPeer:
			d.Nested(func(d *netlink.AttributeDecoder) error { m.Peer, err = decodePeer(d); return err })
		case attrKeyconf:
			d.Nested(func(d *netlink.AttributeDecoder) error { m.Key, err = decodeKey(d); return err })
		}
	}
	if err := d.Err(); err != nil {
		return nil, fmt.Errorf("parse %v: %w", m.Command, err)
	}
	return m, nil
}

// byteOrder is the attribute encoder's interface, of which NativeEndian has both halves.
type byteOrder = binary.ByteOrder
