package plugin

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Messages. A message is a letter and fields; a number is 4 bytes, a client 8 (little endian), a string its length as a
// number and its bytes, a list its length as a number and its strings. cmd/moongate-plugin/wire.h is the other side.
//
//	to the keeper      I  setup, once, first      S  start worker (with its socket)   K  kill worker   D  privileges dropped
//	from the keeper    E  worker ended: index, wait status
//	to a worker        O  open: mask   C  call   F  forget client   D  drop privileges   A  abort   X  close
//	from a worker      H  hello: initialization point    E  cannot be loaded: why    O  opened: result, mask
//	                   R  result: number, list of names and values    L  log: flags, name, text
const maxMessage = 160 << 10

var (
	errShort   = errors.New("message is cut short")
	errTooLong = errors.New("more than a message holds")
)

// message builds a message.
type message []byte

func (m message) number(n uint32) message { return binary.LittleEndian.AppendUint32(m, n) }
func (m message) client(n uint64) message { return binary.LittleEndian.AppendUint64(m, n) }
func (m message) text(s string) message   { return append(m.number(uint32(len(s))), s...) }
func (m message) list(l []string) message {
	m = m.number(uint32(len(l)))
	for _, s := range l {
		m = m.text(s)
	}
	return m
}

// reader takes a message apart. After a field that is not there, err is set and every further field is empty.
type reader struct {
	left []byte
	err  error
}

func (r *reader) number() uint32 {
	if r.err != nil || len(r.left) < 4 {
		r.err = errShort
		return 0
	}
	n := binary.LittleEndian.Uint32(r.left)
	r.left = r.left[4:]
	return n
}

func (r *reader) text() string {
	n := r.number()
	if r.err != nil || uint64(n) > uint64(len(r.left)) {
		r.err = errShort
		return ""
	}
	s := string(r.left[:n])
	r.left = r.left[n:]
	return s
}

func (r *reader) list() []string {
	n := r.number()
	if r.err != nil || uint64(n) > uint64(len(r.left)/4) { // every string has a length
		r.err = errShort
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = r.text()
	}
	return list
}

// answer is a message from a worker.
type answer struct {
	kind   byte
	status uint32   // H: the initialization point; O, R: the result; L: flags
	mask   Event    // O
	name   string   // L
	text   string   // E, L
	list   []string // R: names and values in turn
}

// parseAnswer reads a message of a worker. It returns an error for one that is cut short, has bytes left over, or is of
// no kind that a worker sends.
func parseAnswer(b []byte) (answer, error) {
	if len(b) == 0 {
		return answer{}, errShort
	}
	a, r := answer{kind: b[0]}, reader{left: b[1:]}
	switch a.kind {
	case 'H':
		a.status = r.number()
	case 'E':
		a.text = r.text()
	case 'O':
		a.status, a.mask = r.number(), Event(r.number())
	case 'R':
		if a.status, a.list = r.number(), r.list(); len(a.list)%2 != 0 {
			return answer{}, errShort
		}
	case 'L':
		a.status, a.name, a.text = r.number(), r.text(), r.text()
	default:
		return answer{}, fmt.Errorf("unknown message %q", a.kind)
	}
	if r.err == nil && len(r.left) > 0 {
		r.err = fmt.Errorf("%d bytes left over in message %q", len(r.left), a.kind)
	}
	return a, r.err
}

// ended is the keeper's word about a worker.
type ended struct {
	index  uint32
	status uint32 // as from wait(2)
}

func parseEnded(b []byte) (ended, error) {
	if len(b) == 0 || b[0] != 'E' {
		return ended{}, errShort
	}
	r := reader{left: b[1:]}
	e := ended{r.number(), r.number()}
	if r.err == nil && len(r.left) > 0 {
		r.err = errTooLong
	}
	return e, r.err
}
