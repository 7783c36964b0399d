//go:build linux

package conformance

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

var (
	stockOnly  = flag.Bool("stock", false, "play with the stock daemon alone")
	transcript = flag.Bool("transcript", false, "print what the stock daemon said")
)

// atOnce is how many scenarios play side by side. They wait for timers most of the time, so it has nothing to do with the
// number of cores.
const atOnce = "14"

func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f != nil {
		_ = f.Value.Set(atOnce)
	}
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// built is our program, built once.
var built struct {
	sync.Once
	dir, path string
	err       error
}

// ours builds the program that is tested.
func ours(t *testing.T) string {
	t.Helper()
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "moongate"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.dir, "moongate")
		built.err = daemontest.BuildProgram(built.path)
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// TestConformance plays every scenario on the stock daemon, on ours, and on another stock daemon through a mux: all say the same.
// Ours has the face of the stock daemon's release.
func TestConformance(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("plays in real time, with network namespaces")
	}
	stock := daemontest.RequireOpenVPN(t)
	program := ""
	if !*stockOnly {
		program = ours(t)
	}
	release := releaseOf(t, stock)
	for _, s := range scenarios(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			skipForeign(t, s, release)
			theirs := &performance{arena: newArena(t, s, []string{stock}, stock)}
			if *stockOnly {
				perform(theirs)
				theirs.tell(t)
				return
			}
			mine := &performance{arena: newArena(t, s, []string{program, "daemon", "--compat", release}, stock)}
			all := []*performance{theirs, mine}
			why := notThroughMux(s)
			var through *performance
			if why == "" && release == muxRelease {
				through = &performance{arena: newArena(t, s, []string{stock}, stock)}
				through.mux = newMux(t, through.arena)
				all = append(all, through)
			}
			perform(all...)
			theirs.tell(t)
			t.Run("ours", func(t *testing.T) { compare(t, s.against(release), theirs, mine) })
			if release == muxRelease {
				t.Run("mux", func(t *testing.T) {
					if why != "" {
						t.Skip(why)
					}
					compareMux(t, theirs, through)
				})
			}
		})
	}
}

// performance is the outcome of a scenario in an arena.
type performance struct {
	*arena
	said []string
	err  error
}

// perform plays in all arenas at the same time.
func perform(all ...*performance) {
	var done sync.WaitGroup
	for _, p := range all {
		done.Go(func() { p.said, p.err = p.play() })
	}
	done.Wait()
}

// skipForeign skips a scenario of another release.
func skipForeign(t *testing.T, s *scenario, release string) {
	t.Helper()
	if s.stock != "" && s.stock != release {
		t.Skipf("for stock %s; this is %s", s.stock, release)
	}
}

// compare holds ours to stock's transcript.
func compare(t *testing.T, s *scenario, theirs, mine *performance) {
	t.Helper()
	hunks, missing := unexpected(diff(theirs.said, mine.said), s.differs)
	for _, h := range hunks {
		t.Errorf("stock (-) and ours (+) differ:\n%s", report(h, theirs.said))
	}
	for _, d := range missing {
		t.Errorf("the declared difference %q did not show:\n - %s\n + %s", d.row, strings.Join(d.stock, "\n - "), strings.Join(d.ours, "\n + "))
	}
	mine.blame(t, len(hunks) > 0)
}

// blame tells an error, and with one, or when the transcript is wrong, all that was said.
func (p *performance) blame(t *testing.T, wrong bool) {
	t.Helper()
	if p.err != nil {
		t.Error(p.err)
	}
	if wrong || p.err != nil {
		t.Logf("in full:\n%s\n%s", strings.Join(p.said, "\n"), p.logs())
	}
}

// tell prints what stock said where that is wanted or went wrong: a scenario stock cannot play is a wrong scenario.
func (p *performance) tell(t *testing.T) {
	t.Helper()
	if p.err != nil {
		t.Errorf("stock: %v\n%s\n%s", p.err, strings.Join(p.said, "\n"), p.logs())
	} else if *transcript {
		t.Logf("stock said:\n%s", strings.Join(p.said, "\n"))
	}
}

// documented is a row of the table of deliberate differences: its name in code type comes first, then the release.
var documented = regexp.MustCompile("(?m)^\\| `([a-z0-9-]+)` \\| (both|2\\.[67]) \\|")

// TestDifferencesDocumented holds the table of docs/management.md and the declared differences together, both ways.
func TestDifferencesDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/management.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "## Deliberate differences")
	if !ok {
		t.Fatal("docs/management.md has no table of deliberate differences")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	rows := make(map[string]string)   // by name, against which release
	shown := make(map[[2]string]bool) // row and release
	for _, m := range documented.FindAllStringSubmatch(table, -1) {
		rows[m[1]] = m[2]
	}
	for _, s := range scenarios(t) {
		for _, d := range s.differs {
			row, ok := rows[d.row]
			if !ok {
				t.Errorf("%s: no row %q in docs/management.md", s.name, d.row)
			}
			for _, release := range []string{"2.6", "2.7"} {
				if d.only != "" && d.only != release || s.stock != "" && s.stock != release {
					continue
				}
				shown[[2]string{d.row, release}] = true
				if row != "both" && row != release {
					t.Errorf("%s: %q differs from %s, docs/management.md says %s", s.name, d.row, release, row)
				}
			}
		}
	}
	for row, release := range rows {
		for _, r := range []string{"2.6", "2.7"} {
			if (release == "both" || release == r) && !shown[[2]string{row, r}] {
				t.Errorf("row %q of docs/management.md is shown by no scenario against %s", row, r)
			}
		}
	}
}

// TestScenarios checks what the files promise: a story each, and enough of them.
func TestScenarios(t *testing.T) {
	all := scenarios(t)
	if len(all) < 60 {
		t.Errorf("%d scenarios, 60 are promised", len(all))
	}
	for _, s := range all {
		text, err := os.ReadFile(filepath.Join("testdata", s.name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "# ") {
			t.Errorf("%s does not begin with its story", s.name)
		}
		if _, ok := bases[s.daemon]; !ok {
			t.Errorf("%s: no base %q", s.name, s.daemon)
		}
	}
}
