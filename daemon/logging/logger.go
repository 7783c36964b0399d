package logging

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
)

// Config is where the log goes and how it looks. The zero value writes everything of verb 0 to standard output.
type Config struct {
	Verb int // 0 to 11; more shows what 11 shows
	Mute int // lines of one category in a row before the rest is suppressed; 0 never

	File   string // file instead of standard output, created with mode 0600; lines are appended, always
	Append bool   // do not truncate File when it is opened first
	Syslog bool   // syslog instead of standard output; File wins if it can be opened
	Ident  string // name in syslog, "openvpn" when empty

	SuppressTimestamps    bool
	MachineReadableOutput bool
	ErrorsToStderr        bool // fatal errors to standard error

	Stdout, Stderr io.Writer        // nil: those of the process
	Now            func() time.Time // nil: time.Now
}

// Entry is a line as histories keep it.
type Entry struct {
	Time  time.Time
	Level Level
	Flags string // letter of Level.Flag
	Text  string // with its prefix, one line
}

// Logger writes lines with a prefix. The zero Logger is not ready; use New or Discard.
type Logger struct {
	c      *core
	prefix string
}

type core struct {
	verb, mute atomic.Int32
	cfg        Config

	mu   sync.Mutex // guards what follows, and the order of lines
	out  io.Writer
	file *os.File
	sys  *syslogWriter
	buf  []byte
	text []byte
	last struct { // the run of lines that mute counts
		category uint8
		count    int
	}
	taps    []tap
	nextTap int
}

type tap struct {
	id int
	f  func(Entry)
}

// New opens the log. When File cannot be opened, the lines go where they went without it, and the first one says so.
func New(cfg Config) *Logger {
	c := &core{cfg: cfg}
	if c.cfg.Now == nil {
		c.cfg.Now = time.Now
	}
	if c.cfg.Stderr == nil {
		c.cfg.Stderr = os.Stderr
	}
	c.out = cfg.Stdout
	if c.out == nil {
		c.out = os.Stdout
	}
	var failed error
	if cfg.File != "" {
		var f *os.File
		if f, failed = openFile(cfg.File, !cfg.Append); failed == nil {
			c.file, c.out = f, f
		}
	}
	if cfg.Syslog && c.file == nil {
		c.sys = newSyslog(cfg.Ident)
	}
	l := &Logger{c: c}
	l.SetVerb(cfg.Verb)
	l.SetMute(cfg.Mute)
	if failed != nil {
		l.Msg(At(0).Class("W"), "Warning: Error redirecting stdout/stderr to --log file: %s: %s", cfg.File, errno(failed))
	}
	return l
}

// openFile opens the file for appending: a rotation that cuts it leaves no hole in it.
func openFile(path string, truncate bool) (*os.File, error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if truncate {
		flags |= os.O_TRUNC
	}
	return os.OpenFile(path, flags, 0o600)
}

// errno is the system's text for an error with its number, as stock writes it.
func errno(err error) string {
	var no syscall.Errno
	if !errors.As(err, &no) {
		return err.Error()
	}
	text := no.Error()
	if text != "" {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	return fmt.Sprintf("%s (errno=%d)", text, int(no))
}

// Reopen opens the file anew by its path, for a rotation that renamed it. The descriptor stays the same, so that what scripts
// write goes to the new file too. When the file cannot be opened, the old one stays, and a line in it says so.
func (l *Logger) Reopen() {
	c := l.c
	c.mu.Lock()
	var err error
	if c.file != nil {
		err = c.reopen()
	}
	c.mu.Unlock()
	if err != nil {
		l.Msg(Warn, "WARNING: cannot open the log file %s again, the old one stays in use: %s", c.cfg.File, errno(err))
	}
}

// reopen puts a fresh file behind the descriptor that c.file has. c.mu is held.
func (c *core) reopen() error {
	fresh, err := openFile(c.cfg.File, false)
	if err != nil {
		return err
	}
	defer fresh.Close()
	return replace(c.file, fresh)
}

// Discard returns a Logger that only feeds its subscribers.
func Discard() *Logger {
	c := &core{cfg: Config{Now: time.Now, Stderr: io.Discard}, out: io.Discard}
	return &Logger{c: c}
}

// Close closes the file or the way to syslog. Later lines still reach subscribers.
func (l *Logger) Close() error {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = io.Discard
	var err error
	if c.file != nil {
		err = c.file.Close()
		c.file = nil
	}
	if c.sys != nil {
		c.sys.close()
		c.sys = nil
	}
	return err
}

// File is the open log file or nil; a process in the background keeps it as its standard output for scripts.
func (l *Logger) File() *os.File {
	l.c.mu.Lock()
	defer l.c.mu.Unlock()
	return l.c.file
}

// With returns a Logger on the same log that begins its lines with prefix and a blank: "client1/192.0.2.2:1194". It
// replaces the prefix l has.
func (l *Logger) With(prefix string) *Logger { return &Logger{c: l.c, prefix: prefix} }

// Verb returns the level of detail as it was set, 0 at least. Above 11 it shows what 11 shows.
func (l *Logger) Verb() int { return int(l.c.verb.Load()) }

// SetVerb changes it for every Logger on this log; negative values are 0.
func (l *Logger) SetVerb(n int) { l.c.verb.Store(int32(min(max(n, 0), 1<<30))) }

// Mute returns the limit of lines in a row, 0 for none.
func (l *Logger) Mute() int { return int(l.c.mute.Load()) }

// SetMute changes it for every Logger on this log.
func (l *Logger) SetMute(n int) { l.c.mute.Store(int32(min(max(n, 0), 1<<30))) }

// Enabled reports whether lines of level lv show. Callers on hot paths ask first: Msg costs nothing when a level is
// off, but what it is called with may.
func (l *Logger) Enabled(lv Level) bool { return int32(lv&15) <= l.c.verb.Load() }

// Msg writes one line, formatted as by fmt.Sprintf, if lv shows. It does not end the process for Fatal.
func (l *Logger) Msg(lv Level, format string, args ...any) {
	if l.Enabled(lv) {
		l.write(lv, format, args)
	}
}

func (l *Logger) write(lv Level, format string, args []any) {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.pass(lv) {
		return
	}
	c.text = c.text[:0]
	if l.prefix != "" {
		c.text = append(append(c.text, l.prefix...), ' ')
	}
	if len(args) == 0 && strings.IndexByte(format, '%') < 0 {
		c.text = append(c.text, format...)
	} else {
		c.text = fmt.Appendf(c.text, format, args...)
	}
	c.line(lv, c.text)
}

// line writes text to the output and to the subscribers. c.mu is held.
func (c *core) line(lv Level, text []byte) {
	if bytes.IndexFunc(text, mgmt.Steers) >= 0 { // no text can begin a line of its own
		text = mgmt.AppendText(nil, string(text))
	}
	now := c.cfg.Now()
	if c.sys != nil {
		c.sys.write(lv, text)
	} else {
		c.buf = c.appendLine(c.buf[:0], now, lv, text)
		out := c.out
		if lv&fatal != 0 && c.cfg.ErrorsToStderr {
			out = c.cfg.Stderr
		}
		_, _ = out.Write(c.buf) // a log that cannot be written has nowhere to say so
	}
	if len(c.taps) > 0 {
		e := Entry{Time: now, Level: lv, Flags: lv.Flag(), Text: string(text)}
		for _, t := range c.taps {
			t.f(e)
		}
	}
}

// Subscribe calls f for every line that passes verb and mute, in order, until cancel is called. f must neither block
// nor log.
func (l *Logger) Subscribe(f func(Entry)) (cancel func()) {
	c := l.c
	c.mu.Lock()
	defer c.mu.Unlock()
	id := c.nextTap
	c.nextTap++
	c.taps = append(slices.Clone(c.taps), tap{id, f})
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.taps = slices.DeleteFunc(slices.Clone(c.taps), func(t tap) bool { return t.id == id })
	}
}
