package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// scenario is one file of testdata.
type scenario struct {
	name     string
	daemon   string   // base configuration of the daemon under test
	peers    []string // bases of the stock daemons at the other end
	stock    string   // the release that plays it, empty for each
	listen   string   // unix, tcp, tcp6, dial
	password string   // of the port
	steps    []step
	files    map[string]string
	differs  []difference
}

// step is one line of a scenario.
type step struct {
	line int    // in the file
	verb string // attach, C, wait, …
	n    int    // the connection, or the peer
	arg  string
}

// difference is one declared hunk.
type difference struct {
	row   string   // in the table of docs/management.md
	only  string   // the release of stock that it shows against, empty for each
	stock []string // lines only stock says
	ours  []string // lines only we say
}

// stepForm is a verb with its number and, behind a colon, its argument.
var stepForm = regexp.MustCompile(`^(start peer|stop peer|start|attach|detach|end|exit|C|R|wait|either|poll|file|sign|log|signal|P|pwait|ppoll)(?: ?(\d+))?(?::(?: (.*))?)?$`)

// withArgument are the verbs that need one.
var withArgument = map[string]bool{
	"C": true, "R": true, "wait": true, "either": true, "poll": true, "file": true, "sign": true, "log": true, "signal": true, "P": true, "pwait": true, "ppoll": true,
}

// parseScenario reads a file.
func parseScenario(name string, text []byte) (*scenario, error) {
	ar := txtar.Parse(text)
	s := &scenario{name: name, listen: "unix", files: make(map[string]string)}
	for i, line := range strings.Split(string(ar.Comment), "\n") {
		if err := s.parseLine(i+1, line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
	}
	if s.daemon == "" || len(s.steps) == 0 {
		return nil, fmt.Errorf("%s: no daemon or no steps", name)
	}
	for _, f := range ar.Files {
		row, is := strings.CutPrefix(f.Name, "differs ")
		if !is {
			s.files[f.Name] = string(f.Data)
			continue
		}
		row, only, _ := strings.Cut(row, " ")
		hunks, err := parseDifferences(row, only, string(f.Data))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		s.differs = append(s.differs, hunks...)
	}
	return s, nil
}

func (s *scenario) parseLine(n int, line string) error {
	if line == "" || line[0] == '#' {
		return nil
	}
	if head, arg, ok := strings.Cut(line, ": "); ok && len(s.steps) == 0 {
		switch head {
		case "daemon":
			s.daemon = arg
			return nil
		case "peer":
			s.peers = append(s.peers, arg)
			return nil
		case "stock":
			s.stock = arg
			return nil
		case "listen":
			s.listen = arg
			return nil
		case "password":
			s.password = arg
			return nil
		}
	}
	m := stepForm.FindStringSubmatch(line)
	if m == nil || withArgument[m[1]] != strings.Contains(line, ":") {
		return fmt.Errorf("%q is no step", line)
	}
	st := step{line: n, verb: m[1], n: 1, arg: m[3]}
	if m[2] != "" {
		st.n, _ = strconv.Atoi(m[2])
	}
	if st.verb == "R" {
		var err error
		if st.arg, err = strconv.Unquote(m[3]); err != nil {
			return fmt.Errorf("%q is no string", m[3])
		}
	}
	s.steps = append(s.steps, st)
	return nil
}

// parseDifferences reads a section: hunks apart by blank lines, stock's lines before ours.
func parseDifferences(row, only, text string) (out []difference, err error) {
	for _, hunk := range strings.Split(strings.TrimRight(text, "\n"), "\n\n") {
		d := difference{row: row, only: only}
		for _, line := range strings.Split(hunk, "\n") {
			switch {
			case strings.HasPrefix(line, "#"):
			case strings.HasPrefix(line, "-"):
				d.stock = append(d.stock, line[1:])
			case strings.HasPrefix(line, "+"):
				d.ours = append(d.ours, line[1:])
			default:
				return nil, fmt.Errorf("differs %s: %q begins with neither - nor +", row, line)
			}
		}
		out = append(out, d)
	}
	return out, nil
}

// against is the scenario with the differences to one release of stock.
func (s *scenario) against(release string) *scenario {
	c := *s
	c.differs = slices.DeleteFunc(slices.Clone(s.differs), func(d difference) bool { return d.only != "" && d.only != release })
	return &c
}

// scenarios reads testdata.
func scenarios(t *testing.T) []*scenario {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []*scenario
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := parseScenario(strings.TrimSuffix(filepath.Base(path), ".txt"), text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}
