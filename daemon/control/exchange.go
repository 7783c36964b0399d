package control

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
)

// progress moves one key state as far as it goes without another packet of the peer.
func (s *Session) progress(k *keyState, now time.Time) {
	if k.stream == nil {
		return
	}
	s.deliver(k) // what was held back when TLS had enough
	finished, _, err := k.stream.state()
	s.queue(k, now)
	if !finished {
		return
	}
	if err != nil {
		s.fail(k, &TLSError{Handshake: true, Err: err}, now)
		return
	}
	if !k.up {
		k.up = true
		s.emit(TLSUp{KeyID: k.id, State: k.stream.conn.ConnectionState()})
	}
	if s.cfg.Role == keys.Client && !k.asked {
		k.asked = true
		s.emit(NeedCredentials{KeyID: k.id})
	}
	if len(k.backlog) < maxWaiting { // else the peer makes TLS answer, and takes nothing
		if err := s.receive(k); err != nil {
			s.fail(k, err, now)
			return
		}
		s.queue(k, now)
	}
	if k.phase == phaseGotKey && k.send.Empty() && len(k.backlog) == 0 {
		s.activate(k, now)
	}
}

// activate ends a negotiation. The lame duck keeps its TLS connection for another hand-window: a text sent
// on it may still be on its way.
func (s *Session) activate(k *keyState, now time.Time) {
	k.phase, k.active = phaseActive, now
	s.emit(Active{KeyID: k.id, Started: k.started})
	if s.lame != nil {
		s.lame.hushAt = now.Add(s.cfg.HandWindow)
	}
	s.flushTexts()
	s.queue(k, now)
}

// flush queues what TLS still wants to say about a key that is given up, its alert, and makes the packets.
func (s *Session) flush(k *keyState, now time.Time) {
	if k.stream == nil || !s.havePeer {
		return
	}
	s.queue(k, now)
	s.transmit(k, now)
}

// records holds buffers for one record of plaintext each.
var records = sync.Pool{New: func() any { return new([16 << 10]byte) }}

// receive reads plaintext until there is no more.
func (s *Session) receive(k *keyState) error {
	buf, _ := records.Get().(*[16 << 10]byte)
	defer records.Put(buf)
	for {
		n, err := k.stream.read(buf[:])
		if n > 0 {
			more := s.plaintext(k, buf[:n])
			clear(buf[:n]) // it may have been a password
			if more != nil {
				return more
			}
		}
		switch {
		case err == nil:
		case isNoData(err):
			return nil
		case errors.Is(err, io.EOF):
			return &TLSError{Err: errors.New("closed by the peer")}
		default:
			return &TLSError{Err: err}
		}
	}
}

// plaintext takes one record: the peer's key message first, texts after it. Peers send one message per
// record, but a message may also come in pieces, and texts together.
func (s *Session) plaintext(k *keyState, b []byte) error {
	if len(k.tail)+len(b) > maxReceive {
		return ErrTooLong
	}
	k.tail = append(k.tail, b...)
	if k.remote == nil && k.phase < phaseGotKey {
		n, err := s.keyMessage(k)
		if err != nil || n == 0 {
			return err
		}
		k.consume(n)
	}
	for {
		i := bytes.IndexByte(k.tail, 0)
		if i < 0 {
			return nil
		}
		if text, ok := cleanText(k.tail[:i]); ok {
			s.emit(Text{text})
		}
		k.consume(i + 1)
	}
}

func (k *keyState) consume(n int) {
	rest := k.tail[n:]
	if len(rest) == 0 {
		clear(k.tail)
		k.tail = nil
		return
	}
	k.tail = append([]byte(nil), rest...)
}

// keyMessage reads the peer's key message from the tail, and answers as a server. It returns the bytes it
// took, 0 when the message is not complete yet.
func (s *Session) keyMessage(k *keyState) (int, error) {
	m := new(keys.Message)
	n, err := m.Parse(k.tail, s.cfg.Role.Peer())
	if errors.Is(err, keys.ErrMessageShort) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	// The strings go to the engine, the key material stays here.
	k.remote = &keys.Message{PreMaster: m.PreMaster, Random1: m.Random1, Random2: m.Random2}
	strings := &keys.Message{Options: m.Options, Username: m.Username, Password: m.Password, PeerInfo: m.PeerInfo}
	m.Wipe()
	s.emit(KeyMessage{KeyID: k.id, Message: strings})
	if s.cfg.Role == keys.Server {
		if err := s.sendKey(k, "", ""); err != nil {
			return 0, err
		}
		k.phase = phaseGotKey
	} else if k.phase == phaseSentKey {
		k.phase = phaseGotKey
	}
	return n, nil
}

// SetCredentials answers NeedCredentials: it sends a client's key message, with empty strings when there is
// nothing to log in with. ErrKeySize means that user name and password make the message too long.
func (s *Session) SetCredentials(user, pass string) error {
	k := s.primary
	if s.Dead() || k == nil || !k.asked || k.local != nil || k.phase >= phaseSentKey {
		return ErrNotUp
	}
	if err := s.sendKey(k, user, pass); err != nil {
		return err
	}
	k.phase = phaseSentKey
	if k.remote != nil {
		k.phase = phaseGotKey
	}
	return nil
}

// sendKey writes our key message as one record.
func (s *Session) sendKey(k *keyState, user, pass string) error {
	m := &keys.Message{Options: s.cfg.LocalOptions, Username: user, Password: pass, PeerInfo: s.cfg.PeerInfo}
	if err := m.Fill(s.cfg.Rand, s.cfg.Role); err != nil {
		return fmt.Errorf("key material: %w", err)
	}
	b, err := m.Append(make([]byte, 0, keys.MaxMessage), s.cfg.Role)
	if err != nil {
		return err
	}
	defer clear(b)
	if len(b) > keys.MaxMessage {
		return ErrKeySize
	}
	if err := k.stream.write(b); err != nil {
		return &TLSError{Err: err}
	}
	m.Username, m.Password = "", ""
	k.local = m
	return nil
}

// SendText sends a text message to the peer; the NUL is added here. Before the key is active, and during a
// renewal, it waits. ErrText means a text no peer would take: empty, above MaxText bytes, or with control
// characters. ErrBacklog means that as much waits as may, for a peer that does not acknowledge.
func (s *Session) SendText(msg string) error {
	if s.Dead() {
		return ErrClosed
	}
	if msg == "" || len(msg) > MaxText || strings.ContainsFunc(msg, control) {
		return ErrText
	}
	if s.waiting()+len(msg) > maxWaiting {
		return ErrBacklog
	}
	s.texts = append(s.texts, msg)
	s.flushTexts()
	return nil
}

// waiting is how many bytes wait for the peer's acknowledgements.
func (s *Session) waiting() int {
	n := 0
	for _, t := range s.texts {
		n += len(t)
	}
	for _, k := range s.live() {
		n += len(k.backlog)
	}
	return n
}

// Delivered reports whether the peer has acknowledged everything sent to it.
func (s *Session) Delivered() bool {
	if len(s.texts) > 0 {
		return false
	}
	for _, k := range s.live() {
		if len(k.backlog) > 0 || !k.send.Empty() {
			return false
		}
	}
	return true
}

// Repeat sends what the peer has not acknowledged again.
func (s *Session) Repeat(now time.Time) {
	for _, k := range s.live() {
		k.send.Burst(now)
	}
}

// flushTexts writes waiting texts, one record each, if the primary key is active.
func (s *Session) flushTexts() {
	k := s.primary
	if k == nil || k.phase != phaseActive || k.stream == nil {
		return
	}
	for _, t := range s.texts {
		if err := k.stream.write(append([]byte(t), 0)); err != nil {
			break // the connection is broken, and reading will say so
		}
	}
	s.texts = nil
}

// cleanText strips line ends. It refuses messages with control characters, as peers do.
func cleanText(b []byte) (string, bool) {
	text := strings.TrimRight(string(b), "\r\n")
	if text == "" || len(text) > MaxText || strings.ContainsFunc(text, control) {
		return "", false
	}
	return text, true
}

func control(r rune) bool { return r < 0x20 || r == 0x7f }
