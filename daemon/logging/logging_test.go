package logging_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

func open(t *testing.T, cfg logging.Config) (*logging.Logger, *strings.Builder) {
	t.Helper()
	var b strings.Builder
	cfg.Stdout = &b
	cfg.Now = func() time.Time { return time.Date(2026, 11, 23, 4, 36, 49, 12345678, time.Local) }
	l := logging.New(cfg)
	t.Cleanup(func() { _ = l.Close() })
	return l, &b
}

func TestForms(t *testing.T) {
	unix := time.Date(2026, 11, 23, 4, 36, 49, 0, time.Local).Unix()
	for _, tt := range []struct {
		name string
		cfg  logging.Config
		want string
	}{
		{"verb 3", logging.Config{Verb: 3}, "2026-11-23 04:36:49 hello 7\n2026-11-23 04:36:49 cn/192.0.2.1:5 learn\n"},
		{"verb 4", logging.Config{Verb: 4}, "2026-11-23 04:36:49 us=12345 hello 7\n2026-11-23 04:36:49 us=12345 cn/192.0.2.1:5 learn\n"},
		{"verb 1", logging.Config{Verb: 1}, "2026-11-23 04:36:49 hello 7\n"},
		{"no timestamps", logging.Config{Verb: 4, SuppressTimestamps: true}, "hello 7\ncn/192.0.2.1:5 learn\n"},
		{"machine readable", logging.Config{Verb: 3, MachineReadableOutput: true},
			fmt.Sprintf("%d.012345 1 hello 7\n%d.012345 14000003 cn/192.0.2.1:5 learn\n", unix, unix)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, out := open(t, tt.cfg)
			l.Msg(logging.Info, "hello %d", 7)
			l.With("cn/192.0.2.1:5").Msg(logging.At(3).Category(0x14), "learn")
			if diff := cmp.Diff(tt.want, out.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestEveryLineIsOneLine(t *testing.T) {
	l, out := open(t, logging.Config{SuppressTimestamps: true})
	l.Msg(logging.Fatal, "a\nb\r%s", "c\n2026-11-23 04:36:49 forged")
	if got, want := out.String(), "a b c 2026-11-23 04:36:49 forged\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVerbZeroShowsFatalErrorsOnly(t *testing.T) {
	l, out := open(t, logging.Config{SuppressTimestamps: true})
	l.Msg(logging.Error, "error")
	l.Msg(logging.Fatal, "fatal")
	l.SetVerb(99)
	l.Msg(logging.Debug(11), "debug")
	if got, want := out.String(), "fatal\ndebug\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if l.Verb() != 99 {
		t.Errorf("verb = %d, want 99", l.Verb())
	}
}

func TestMute(t *testing.T) {
	l, out := open(t, logging.Config{Verb: 3, Mute: 2, SuppressTimestamps: true})
	replay := logging.Info.Category(5)
	for i := range 5 {
		l.Msg(replay, "replay %d", i)
	}
	l.Msg(logging.Info.Category(6), "other")
	for range 4 {
		l.Msg(logging.Info, "never muted")
	}
	want := "replay 0\nreplay 1\nNOTE: --mute triggered...\n3 variation(s) on previous 2 message(s) suppressed by --mute\nother\n" +
		strings.Repeat("never muted\n", 4)
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFlags(t *testing.T) {
	for _, tt := range []struct {
		level logging.Level
		want  string
	}{
		{logging.Fatal, "F"}, {logging.Error, "N"}, {logging.Warn, "W"}, {logging.Debug(7), "D"}, {logging.Info, "I"},
		{logging.At(2), ""}, {logging.At(3).Category(4), ""}, {logging.At(3).Class("W").Category(4), "W"}, {logging.Warn.Class(""), "I"},
	} {
		if got := tt.level.Flag(); got != tt.want {
			t.Errorf("%x: flag %q, want %q", uint32(tt.level), got, tt.want)
		}
	}
}

func TestSubscribersSeeWhatPasses(t *testing.T) {
	l, _ := open(t, logging.Config{Verb: 1})
	var got []string
	cancel := l.Subscribe(func(e logging.Entry) { got = append(got, e.Flags+"|"+e.Text) })
	l.With("a:1").Msg(logging.Warn, "careful")
	l.Msg(logging.At(3), "hidden")
	l.Msg(logging.Error, "%s", "100% lost")
	cancel()
	l.Msg(logging.Info, "later")
	if diff := cmp.Diff([]string{"W|a:1 careful", "N|100% lost"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	write := func(appending bool, text string) {
		l := logging.New(logging.Config{File: path, Append: appending, SuppressTimestamps: true, Verb: 1})
		l.Msg(logging.Info, "%s", text)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	write(false, "gone")
	write(false, "one")
	write(true, "two")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(b), "one\ntwo\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", fi.Mode(), err)
	}
}

func TestFatalErrorsToStderr(t *testing.T) {
	var out, errs strings.Builder
	l := logging.New(logging.Config{Verb: 1, SuppressTimestamps: true, ErrorsToStderr: true, Stdout: &out, Stderr: &errs})
	l.Msg(logging.Fatal, "fatal")
	l.Msg(logging.Error, "error")
	if out.String() != "error\n" || errs.String() != "fatal\n" {
		t.Errorf("out %q, err %q", out.String(), errs.String())
	}
}

func TestSlog(t *testing.T) {
	l, out := open(t, logging.Config{Verb: 7, SuppressTimestamps: true})
	s := l.With("cn/a:1").Slog().With("session", 5)
	s.Warn("late packet", "peer", "192.0.2.1:5", "err", errors.New("no way"))
	s.WithGroup("key").Debug("step", "id", 3, slog.Group("g", "a", ""))
	s.Log(t.Context(), logging.LevelTrace, "packet")
	want := "cn/a:1 late packet session=5 peer=192.0.2.1:5 err=\"no way\"\ncn/a:1 step session=5 key.id=3 key.g.a=\"\"\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNothingIsAllocatedWhenALevelIsOff(t *testing.T) {
	l, _ := open(t, logging.Config{Verb: 3})
	n := 1000
	if allocs := testing.AllocsPerRun(100, func() {
		l.Msg(logging.At(4), "constant")
		if lv := logging.At(6); l.Enabled(lv) {
			l.Msg(lv, "packet of %d bytes", n)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestConcurrentLinesStayWhole(t *testing.T) {
	l, out := open(t, logging.Config{Verb: 1, SuppressTimestamps: true})
	done := make(chan struct{})
	for i := range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for range 200 {
				l.With("p").Msg(logging.Info, "%s", strings.Repeat(string(rune('a'+i)), 20))
				l.SetVerb(1 + i)
			}
		}()
	}
	for range 4 {
		<-done
	}
	for line := range strings.Lines(out.String()) {
		if len(line) != 23 || strings.Count(line, line[2:3]) != 20 {
			t.Fatalf("torn line %q", line)
		}
	}
}

// A Logger whose syslog is absent does not fail.
func TestSyslogMayBeAbsent(t *testing.T) {
	l := logging.New(logging.Config{Verb: 1, Syslog: true, Ident: "ovpn-x"})
	var got string
	l.Subscribe(func(e logging.Entry) { got = e.Text })
	l.Msg(logging.Warn, "to syslog")
	if got != "to syslog" {
		t.Errorf("subscriber got %q", got)
	}
	if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
