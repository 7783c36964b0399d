package server

// ring is a history of lines, each with its CR LF. The bytes are shared with the queues of seats and never changed.
type ring struct {
	max   int
	lines [][]byte
	head  int // oldest line once the ring is full
}

func (r *ring) add(line []byte) {
	if len(r.lines) < r.max {
		r.lines = append(r.lines, line)
		return
	}
	r.lines[r.head] = line
	r.head = (r.head + 1) % r.max
}

// newest returns the last n lines, all for n < 0, oldest first.
func (r *ring) newest(n int) [][]byte {
	if n < 0 || n > len(r.lines) {
		n = len(r.lines)
	}
	out := make([][]byte, 0, n+1) // room for END
	skip := len(r.lines) - n
	first := r.lines[r.head:]
	if skip < len(first) {
		out = append(out, first[skip:]...)
		skip = 0
	} else {
		skip -= len(first)
	}
	return append(out, r.lines[:r.head][skip:]...)
}

func (r *ring) resize(n int) {
	r.lines, r.head, r.max = r.newest(n), 0, n
}
