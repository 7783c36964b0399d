package replay

import "encoding/binary"

// State is how far a count of long ids has come: what is kept of a window over restarts.
type State struct{ Time, ID uint32 }

// StateSize is the encoded size of a State.
const StateSize = 16

// AppendState encodes s as the stock daemon on 64-bit Linux does, so that each reads the other's files:
//
//	bytes 0..7    sender's time, little endian
//	bytes 8..11   packet id, little endian
//	bytes 12..15  not used
func AppendState(b []byte, s State) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(s.Time))
	b = binary.LittleEndian.AppendUint32(b, s.ID)
	return append(b, 0, 0, 0, 0)
}

// ParseState decodes a state; what follows it is ignored. It reports false for fewer bytes and for times that no packet
// can carry.
func ParseState(b []byte) (State, bool) {
	if len(b) < StateSize {
		return State{}, false
	}
	t := binary.LittleEndian.Uint64(b)
	if t>>32 != 0 {
		return State{}, false
	}
	return State{Time: uint32(t), ID: binary.LittleEndian.Uint32(b[8:])}, true
}

// State is the largest long id accepted, zero before the first.
func (w *Window) State() State { return State{Time: w.time, ID: uint32(w.highest)} }

// Resume makes a window refuse everything up to s, as if all of it had been seen. To be called before the first packet.
func (w *Window) Resume(s State) {
	w.Reset()
	w.time, w.highest, w.floor = s.Time, uint64(s.ID), uint64(s.ID)
}
