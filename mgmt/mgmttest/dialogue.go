package mgmttest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Op says what a line of a dialogue does.
type Op byte

// Ops, by their letter in the file.
const (
	Send      Op = 'C' // a seat sends Text
	Receive   Op = 'S' // a seat gets Text
	Call      Op = 'D' // the daemon was called, or answered
	Directive Op = '!' // Text is for Daemon.Do, or attach, detach and config
	Comment   Op = '#'
)

// Step is a line of a dialogue.
type Step struct {
	Op   Op
	Seat int // of Send and Receive, from 1
	Text string
}

// String is the line as it stands in the file.
func (s Step) String() string {
	switch s.Op {
	case Send, Receive:
		n := ""
		if s.Seat != 1 {
			n = strconv.Itoa(s.Seat)
		}
		return strings.TrimRight(string(s.Op)+n+": "+s.Text, " ")
	case Call:
		return "D: " + s.Text
	default:
		return strings.TrimRight(string(s.Op)+" "+s.Text, " ")
	}
}

// Dialogue is a session in steps.
type Dialogue []Step

// Parse reads a dialogue. Blank lines are comments.
func Parse(text string) (Dialogue, error) {
	var d Dialogue
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		s, err := parseStep(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		d = append(d, s)
	}
	return d, nil
}

var stepHead = regexp.MustCompile(`^([CSD])(\d*):(?: (.*))?$`)

func parseStep(line string) (Step, error) {
	if line == "" {
		return Step{Op: Comment}, nil
	}
	if line[0] == '#' || line[0] == '!' {
		return Step{Op: Op(line[0]), Text: strings.TrimPrefix(line[1:], " ")}, nil
	}
	m := stepHead.FindStringSubmatch(line)
	if m == nil {
		return Step{}, fmt.Errorf("%q is no step", line)
	}
	s := Step{Op: Op(m[1][0]), Seat: 1, Text: m[3]}
	if m[2] != "" {
		s.Seat, _ = strconv.Atoi(m[2])
	}
	return s, nil
}

// String is the file.
func (d Dialogue) String() string {
	var b strings.Builder
	for _, s := range d {
		if line := s.String(); line != "#" {
			b.WriteString(line)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Config is the text of the first "! config" directive.
func (d Dialogue) Config() string { return d.setting("config") }

// Stock is the text of the first "! stock" directive: options with which OpenVPN itself says the same. Empty: it does not.
func (d Dialogue) Stock() string { return d.setting("stock") }

func (d Dialogue) setting(name string) string {
	for _, s := range d {
		if rest, ok := strings.CutPrefix(s.Text, name); ok && s.Op == Directive && (rest == "" || rest[0] == ' ') {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// Port is where a dialogue is played.
type Port interface {
	Attach(seat int)
	Detach(seat int)
	Send(seat int, line string)
	Do(directive string) error
	// Settle waits until nothing moves any more, or until want lines came where that cannot be known, and returns what
	// happened since the last call: calls of the daemon, then lines by seat.
	Settle(want int) []Step
}

// Play performs the steps of d on p and returns what happened, with masks applied.
func Play(d Dialogue, p Port) (Dialogue, error) {
	var out Dialogue
	for i, s := range d {
		switch s.Op {
		case Receive, Call:
			continue
		case Comment:
			out = append(out, s)
			continue
		case Send:
			p.Send(s.Seat, s.Text)
		case Directive:
			word, arg, _ := strings.Cut(s.Text, " ")
			seat, err := strconv.Atoi(arg)
			if err != nil {
				seat = 1
			}
			switch word {
			case "config", "stock":
			case "attach":
				p.Attach(seat)
			case "detach":
				p.Detach(seat)
			default:
				if err := p.Do(s.Text); err != nil {
					return nil, fmt.Errorf("%s: %w", s.Text, err)
				}
			}
		}
		out = append(out, s)
		want := 0
		for _, next := range d[i+1:] {
			if next.Op == Send || next.Op == Directive {
				break
			}
			if next.Op == Receive {
				want++
			}
		}
		for _, got := range p.Settle(want) {
			got.Text = Mask(got.Text)
			out = append(out, got)
		}
	}
	return out, nil
}

var masks = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`^(>(?:STATE|LOG|ECHO):|)\d{9,10},`), "$1<time>,"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b`), "<date>"},
	{regexp.MustCompile(`^(TIME[,\t]<date>[,\t])\d+$`), "$1<time>"},
	{regexp.MustCompile(`\bpid=\d+`), "pid=<pid>"},
	{regexp.MustCompile(`^(OpenVPN Version: |Management Interface for |TITLE[,\t]).+`), "$1<title>"},
	{regexp.MustCompile(`(\[AF_INET6?\][0-9a-f.:]*:)\d+`), "$1<port>"},
}

// Mask replaces what differs from run to run: times, process ids, product strings, ports of log lines.
func Mask(line string) string {
	for _, m := range masks {
		line = m.re.ReplaceAllString(line, m.to)
	}
	return line
}
