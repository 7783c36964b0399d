package wire

// MaxInput is the longest line a client may send, without its LF.
const MaxInput = 1023

// Input cuts what a client sends into lines. The zero value is ready.
//
// Bytes other than LF, 0x20..0x7e and 0x80..0xff are removed before anything else: CR LF and LF both end a line, a TAB
// vanishes. A line longer than MaxInput is dropped whole and reported as such. Stock drops its head and executes its tail.
type Input struct {
	buf  [MaxInput]byte
	n    int
	long bool // the line under way is over MaxInput
	part bool // the line under way has bytes, filtered ones included
}

// Feed takes bytes and calls line for each that is complete; long tells that it was too long, text is then empty. When
// line returns false, the rest of b is dropped and Feed returns false.
func (in *Input) Feed(b []byte, line func(text string, long bool) bool) bool {
	for _, c := range b {
		in.part = true
		switch {
		case c == '\n':
			text, long := string(in.buf[:in.n]), in.long
			if long {
				text = ""
			}
			in.n, in.long, in.part = 0, false, false
			if !line(text, long) {
				return false
			}
		case c < 0x20 || c == 0x7f:
		case in.n == len(in.buf):
			in.long = true
		default:
			in.buf[in.n] = c
			in.n++
		}
	}
	return true
}

// Partial reports whether a line was begun and not ended.
func (in *Input) Partial() bool { return in.part }
