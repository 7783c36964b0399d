package record

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/script"
)

// header is the first line of a recording.
const header = "# moongate recording 1"

// maxMillis is a hundred years, well within a time.Duration.
const maxMillis = 100 * 366 * 24 * 3600 * 1000

// line is one line of a recording.
//
//	MILLISECONDS < LINE    from the daemon
//	MILLISECONDS > LINE    to the daemon
type line struct {
	at         time.Duration // since the start
	fromDaemon bool
	text       string
}

func (l line) String() string {
	dir := '>'
	if l.fromDaemon {
		dir = '<'
	}
	return fmt.Sprintf("%d %c %s", l.at.Milliseconds(), dir, l.text)
}

// read parses a recording. Lines starting with # are comments.
func read(r io.Reader) ([]line, error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	var all []line
	for n := 1; sc.Scan(); n++ {
		t := strings.TrimRight(sc.Text(), "\r")
		if n == 1 && t != header {
			return nil, fmt.Errorf("line 1: not a recording: want %q", header)
		}
		if t == "" || strings.HasPrefix(t, "#") {
			continue
		}
		ms, rest, ok := strings.Cut(t, " ")
		at, err := strconv.ParseInt(ms, 10, 64)
		if !ok || err != nil || at < 0 || at > maxMillis || len(rest) < 2 || rest[0] != '<' && rest[0] != '>' || rest[1] != ' ' {
			return nil, fmt.Errorf("line %d: want MILLISECONDS < LINE or MILLISECONDS > LINE", n)
		}
		all = append(all, line{time.Duration(at) * time.Millisecond, rest[0] == '<', rest[2:]})
	}
	return all, sc.Err()
}

// FromDaemon reads a recording and returns what came from the daemon.
func FromDaemon(r io.Reader) ([]script.RecordedLine, error) {
	all, err := read(r)
	if err != nil {
		return nil, err
	}
	var out []script.RecordedLine
	for _, l := range all {
		if l.fromDaemon {
			out = append(out, script.RecordedLine{At: l.at, Text: l.text})
		}
	}
	return out, nil
}
