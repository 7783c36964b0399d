package server

// ring is a history of lines, each with its CR LF. The bytes are shared with the queues of seats and never changed.
type ring struct {
	max   int
	lines []entry
	head  int // oldest line once the ring is full
}

// entry is a line as seats that may see secrets get it, and as others do: the same bytes for most lines.
type entry struct{ whole, open []byte }

// shown is a line without a secret.
func shown(line []byte) entry { return entry{line, line} }

func (e entry) line(whole bool) []byte {
	if whole {
		return e.whole
	}
	return e.open
}

func (r *ring) add(e entry) {
	if len(r.lines) < r.max {
		r.lines = append(r.lines, e)
		return
	}
	r.lines[r.head] = e
	r.head = (r.head + 1) % r.max
}

// last returns the last n entries, all for n < 0, oldest first.
func (r *ring) last(n int) []entry {
	if n < 0 || n > len(r.lines) {
		n = len(r.lines)
	}
	out := make([]entry, 0, n)
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

// newest is last as lines for a seat.
func (r *ring) newest(n int, whole bool) [][]byte {
	entries := r.last(n)
	out := make([][]byte, len(entries), len(entries)+1) // room for END
	for i, e := range entries {
		out[i] = e.line(whole)
	}
	return out
}

func (r *ring) resize(n int) {
	r.lines, r.head, r.max = r.last(n), 0, n
}
