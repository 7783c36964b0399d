package top

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

// screen is the whole terminal, row by row. It writes rows that have changed, and nothing while nothing does: the library's own renderer looks for changes
// many times a second, and on an idle machine waking for that costs more than all else.
type screen struct {
	in, out *os.File
	was     *term.State
	rows    []string // as they stand there
	width   int
	height  int
}

const (
	enter = "\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[2J" // the other screen, no cursor, pasted text in brackets
	leave = "\x1b[?2004l\x1b[?25h\x1b[?1049l"
	hold  = "\x1b[?2026h" // terminals that know it show what follows at once
	show  = "\x1b[?2026l"
)

func openScreen(in, out *os.File) (*screen, error) {
	was, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, err
	}
	s := &screen{in: in, out: out, was: was}
	if _, err := out.WriteString(enter); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// close leaves the terminal as it was.
func (s *screen) close() {
	_, _ = s.out.WriteString(leave)
	_ = term.Restore(int(s.in.Fd()), s.was)
}

// watch tells the size now and whenever it changes, until stop is called.
func (s *screen) watch(send func(tea.Msg)) (stop func()) {
	changed := make(chan os.Signal, 1)
	changed <- syscall.SIGWINCH // while nothing else can fill the channel
	signal.Notify(changed, syscall.SIGWINCH)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for range changed {
			if w, h, err := term.GetSize(int(s.out.Fd())); err == nil {
				send(tea.WindowSizeMsg{Width: w, Height: h})
			}
		}
	}()
	return func() {
		signal.Stop(changed)
		close(changed)
		<-over
	}
}

// draw shows rows, as many as the screen has, none wider.
func (s *screen) draw(rows []string, width, height int) error {
	var b strings.Builder
	if width != s.width || height != s.height {
		s.rows, s.width, s.height = nil, width, height
		b.WriteString("\x1b[2J")
	}
	for i, row := range rows {
		if i < len(s.rows) && s.rows[i] == row {
			continue
		}
		fmt.Fprintf(&b, "\x1b[%d;1H%s", i+1, row)
		if ansi.StringWidth(row) < width { // behind a full row it would take the last character
			b.WriteString("\x1b[K")
		}
	}
	s.rows = rows
	if b.Len() == 0 {
		return nil
	}
	_, err := s.out.WriteString(hold + b.String() + show)
	return err
}

// frame is the shortest time between two drawings.
const frame = 30 * time.Millisecond

// drawn is a model that is drawn when it has changed, at once or after what is left of a frame.
type drawn struct {
	*model
	screen *screen
	last   time.Time
	due    bool // a frameEnd is on its way
}

// frameEnd is the message of a drawing that was put off.
type frameEnd struct{}

// Init implements tea.Model.
func (d *drawn) Init() tea.Cmd { return nil }

// View implements tea.Model.
func (d *drawn) View() tea.View { return tea.View{} }

// Update implements tea.Model.
func (d *drawn) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	if _, end := msg.(frameEnd); end {
		d.due = false
	} else {
		cmd = d.model.update(msg)
	}
	rest := frame - time.Since(d.last)
	switch {
	case d.due:
		return d, cmd
	case rest > 0:
		d.due = true
		return d, tea.Batch(cmd, tea.Tick(rest, func(time.Time) tea.Msg { return frameEnd{} }))
	}
	if err := d.screen.draw(d.lines(), d.width, d.height); err != nil {
		return d, tea.Quit // the terminal is gone
	}
	d.last = time.Now()
	return d, cmd
}
