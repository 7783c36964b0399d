package control

import (
	"fmt"
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/reliable"
)

// phase is where a key negotiation stands. The package comment draws it.
type phase uint8

const (
	phasePreStart phase = iota // resets under way
	phaseStart                 // TLS handshake
	phaseSentKey               // client: our key message is sent; server: never
	phaseGotKey                // both key messages are exchanged, acks are missing
	phaseActive
)

// keyState is one generation of keys: its messages, its TLS connection, its key messages.
type keyState struct {
	id    uint8
	phase phase

	send *reliable.Sender
	recv *reliable.Receiver

	greeted bool   // the peer's message 0 has arrived
	wkc     bool   // our message 1 has to carry the wrapped client key
	backlog []byte // TLS bytes that wait for room in the send window
	ackBy   time.Time

	stream *stream // nil before phaseStart, and when it is of no more use
	up     bool    // the handshake is over
	tail   []byte  // plaintext of an incomplete message

	asked         bool // NeedCredentials was emitted
	local, remote *keys.Message

	generated bool // KeyBlock was called: the key is in use

	started time.Time // when the negotiation began
	active  time.Time // when it ended
	mustDie time.Time // end of the tran-window; zero for a key without successor
	hushAt  time.Time // when a lame duck with an active successor gives up its TLS connection
}

func (s *Session) newKey(id uint8, now time.Time) *keyState {
	return &keyState{
		id:      id,
		started: now,
		send:    reliable.NewSender(s.cfg.TLSTimeout),
		recv:    reliable.NewReceiver(),
	}
}

// key returns the key state with that id.
func (s *Session) key(id uint8) *keyState {
	for _, k := range []*keyState{s.primary, s.lame} {
		if k != nil && k.id == id {
			return k
		}
	}
	return nil
}

// wipe forgets the secrets of the key messages and what else is of no use without the TLS connection.
func (k *keyState) wipe() {
	for _, m := range []*keys.Message{k.local, k.remote} {
		if m != nil {
			m.Wipe()
		}
	}
	clear(k.tail)
	k.local, k.remote, k.tail = nil, nil, nil
}

func (k *keyState) export(label string, n int) ([]byte, error) {
	if !k.up || k.stream == nil {
		return nil, ErrNotUp
	}
	cs := k.stream.conn.ConnectionState()
	b, err := cs.ExportKeyingMaterial(label, nil, n)
	if err != nil {
		return nil, fmt.Errorf("export %s: %w", label, err)
	}
	return b, nil
}

// KeyBlock derives the data keys of a key id, from the TLS exporter or from the key messages. From then on
// the key counts as in use, and the peer may renew it. The key messages are wiped: the block can be had
// again from the exporter only. The error is ErrNotUp before the key messages have crossed, or that of the derivation.
func (s *Session) KeyBlock(keyID uint8, ekm bool) (*keys.Block, error) {
	k := s.key(keyID)
	if k == nil || k.phase < phaseGotKey {
		return nil, ErrNotUp
	}
	var block *keys.Block
	if ekm {
		material, err := k.export(keys.LabelDataKeys, keys.BlockSize)
		if err != nil {
			return nil, err
		}
		defer clear(material)
		if block, err = keys.NewBlock(material); err != nil {
			return nil, fmt.Errorf("derive data keys: %w", err)
		}
	} else {
		if k.local == nil || k.remote == nil {
			return nil, ErrNotUp
		}
		client, server, clientID, serverID := k.local, k.remote, s.own, s.peer
		if s.cfg.Role == keys.Server {
			client, server, clientID, serverID = k.remote, k.local, s.peer, s.own
		}
		var err error
		if block, err = keys.DeriveBlock(client, server, clientID, serverID); err != nil {
			return nil, fmt.Errorf("derive data keys: %w", err)
		}
	}
	k.generated = true
	k.wipe()
	return block, nil
}
