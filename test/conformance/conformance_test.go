//go:build linux

package conformance

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

var (
	stockOnly  = flag.Bool("stock", false, "play with the stock daemon alone")
	prebuilt   = flag.String("program", "", "test this moongate instead of building one")
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
	out       []byte
	err       error
}

// ours builds the program that is tested.
func ours(t *testing.T) string {
	t.Helper()
	if *prebuilt != "" {
		return *prebuilt
	}
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "moongate"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.dir, "moongate")
		cmd := exec.Command("go", "build", "-o", built.path, "../../cmd/moongate")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as make builds it
		built.out, built.err = cmd.CombinedOutput()
	})
	if built.err != nil {
		t.Fatalf("build: %v\n%s", built.err, built.out)
	}
	return built.path
}

// TestConformance plays every scenario on both daemons. Ours has the face of the stock daemon's release.
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
	for _, s := range scenarios(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			release := releaseOf(t, stock)
			skipForeign(t, s, release)
			s := s.against(release)
			theirs := newArena(t, s, []string{stock}, stock)
			if *stockOnly {
				said, err := theirs.play()
				tell(t, said, err, theirs)
				return
			}
			mine := newArena(t, s, []string{program, "daemon", "--compat", theirs.release}, stock)
			compare(t, s, theirs, mine)
		})
	}
}

// skipForeign skips a scenario of another release.
func skipForeign(t *testing.T, s *scenario, release string) {
	t.Helper()
	if s.stock != "" && s.stock != release {
		t.Skipf("for stock %s; this is %s", s.stock, release)
	}
}

// compare plays on both at the same time.
func compare(t *testing.T, s *scenario, theirs, mine *arena) {
	t.Helper()
	var wantErr, gotErr error
	var want, got []string
	var both sync.WaitGroup
	both.Go(func() { want, wantErr = theirs.play() })
	both.Go(func() { got, gotErr = mine.play() })
	both.Wait()
	tell(t, want, wantErr, theirs)
	hunks, missing := unexpected(diff(want, got), s.differs)
	for _, h := range hunks {
		t.Errorf("stock (-) and ours (+) differ:\n%s", report(h, want))
	}
	for _, d := range missing {
		t.Errorf("the declared difference %q did not show:\n - %s\n + %s", d.row, strings.Join(d.stock, "\n - "), strings.Join(d.ours, "\n + "))
	}
	if gotErr != nil {
		t.Errorf("ours: %v", gotErr)
	}
	if len(hunks) > 0 || gotErr != nil {
		t.Logf("ours in full:\n%s\n%s", strings.Join(got, "\n"), mine.logs())
	}
}

// tell prints what stock said where that is wanted or went wrong: a scenario stock cannot play is a wrong scenario.
func tell(t *testing.T, said []string, err error, a *arena) {
	t.Helper()
	if err != nil {
		t.Errorf("stock: %v\n%s\n%s", err, strings.Join(said, "\n"), a.logs())
	} else if *transcript {
		t.Logf("stock said:\n%s", strings.Join(said, "\n"))
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
