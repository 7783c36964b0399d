package host

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/script"
)

// Descriptors of a child.
const (
	sessionFD = 3
	controlFD = 4
	paperFD   = 5 // the spec and the source: the child needs no right to read the file
)

// Words of the command line that make the program a child: before and after it gave up its privileges.
const (
	word     = "lua-host"
	confined = "lua-host-confined"
)

// init makes this process a child, and never returns, if its command line says so. It runs before main, and before the packages that this one does
// not need are initialised: what they would touch, a child never has in memory.
func init() {
	if len(os.Args) != 2 || os.Args[0] != "moongate" {
		return
	}
	switch os.Args[1] {
	case word, confined:
		os.Exit(child(os.Args[1] == confined))
	}
}

// speaker sends messages to the parent.
type speaker struct {
	mu  sync.Mutex
	out io.Writer
}

func (s *speaker) say(m message) {
	b, err := json.Marshal(m)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.out.Write(append(b, '\n')); err != nil {
		os.Exit(1) // nobody is there
	}
}

// paper holds what the parent writes for the child.
type paper struct {
	Spec   Spec
	Source []byte
}

func child(isConfined bool) int {
	control := os.NewFile(controlFD, "control")
	to := &speaker{out: control}
	err := work(isConfined, newReader(control), to)
	to.say(message{End: endOf(err)})
	if err != nil {
		return 1
	}
	return 0
}

func work(isConfined bool, in *reader, to *speaker) error {
	f := os.NewFile(paperFD, "paper")
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	var p paper
	if err := json.NewDecoder(f).Decode(&p); err != nil {
		return err
	}
	if !isConfined {
		if err := keepOpen(sessionFD, controlFD, paperFD); err != nil {
			return err
		}
		return confine(p.Spec) // does not come back
	}
	_ = f.Close()
	unix.CloseOnExec(sessionFD) // programs that the script starts must not speak for it, nor outlive its end
	unix.CloseOnExec(controlFD)
	debug.SetMemoryLimit(p.Spec.memory() + 16<<20)
	runtime.GOMAXPROCS(1) // a script is one thread; what collects its garbage leaves the other cores to others
	return runChild(p, in, to)
}

// keepOpen lets descriptors survive the exec.
func keepOpen(fds ...int) error {
	for _, fd := range fds {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return err
		}
	}
	return nil
}

func runChild(p paper, in *reader, to *speaker) error {
	spec := p.Spec
	prepared, err := script.PrepareSource(spec.Path, p.Source)
	if err != nil {
		return err
	}
	conn, err := net.FileConn(os.NewFile(sessionFD, "session"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c, err := client.New(ctx, conn, client.Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	asked := &questions{to: to, open: make(map[int]chan answer)}
	i := prepared.Start(ctx, c, script.Options{
		Args: spec.Args, ReadDirs: spec.ReadDirs, HandlerTimeout: spec.Timeout, Burst: spec.Burst, Allow: spec.Allow, Memory: spec.memory(), Alone: true, SharedLog: true,
		Ask: asked.ask, Addresses: addresses{asked},
		Log:    slog.New(&handler{to: to}),
		Print:  func(s string) { s = cut(s); to.say(message{Print: &s}) },
		Status: func(s mgmt.ScriptStatus) { s.LastError = cut(s.LastError); to.say(message{Status: &s}) },
	})
	go func() {
		if err := <-i.Ready(); err == nil {
			to.say(message{Ready: true})
			forgetStart()
		}
	}()
	go func() {
		for {
			m, err := in.next()
			switch {
			case err != nil:
				os.Exit(1) // the parent is gone
			case m.Begin != nil:
				i.Begin(m.Begin.All)
			case m.Answer != nil:
				asked.answer(*m.Answer)
			case m.Drain:
				i.Drain()
			case m.Probe:
				to.say(message{Alive: true})
			}
		}
	}()
	<-i.Done()
	return i.Err()
}

// questions are those that the parent has not answered.
type questions struct {
	to *speaker

	mu   sync.Mutex
	last int
	open map[int]chan answer
}

// ask puts a question of the script to the seats.
func (q *questions) ask(ctx context.Context, what script.Question) (string, error) {
	return q.put(ctx, func(id int) message { return message{Ask: &question{id, what}} })
}

// put says what the parent answers.
func (q *questions) put(ctx context.Context, say func(id int) message) (string, error) {
	ch := make(chan answer, 1)
	q.mu.Lock()
	q.last++
	id := q.last
	q.open[id] = ch
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		delete(q.open, id)
		q.mu.Unlock()
	}()
	q.to.say(say(id))
	select {
	case a := <-ch:
		if a.Error != "" {
			return "", errors.New(a.Error)
		}
		return a.Text, nil
	case <-ctx.Done():
		q.to.say(message{Unask: id})
		return "", ctx.Err()
	}
}

// addresses asks the parent who serves where.
type addresses struct{ *questions }

// takeWithin bounds a question that the parent answers by itself.
const takeWithin = 5 * time.Second

// Take implements script.Addresses.
func (a addresses) Take(name string) (shared bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), takeWithin)
	defer cancel()
	text, err := a.put(ctx, func(id int) message { return message{Take: &place{id, name}} })
	return text != "", err
}

// Leave implements script.Addresses.
func (a addresses) Leave(name string) { a.to.say(message{Leave: name}) }

func (q *questions) answer(a answer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if ch := q.open[a.ID]; ch != nil {
		ch <- a
		delete(q.open, a.ID)
	}
}

// handler sends log records to the parent.
type handler struct {
	to    *speaker
	attrs []slog.Attr
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	l := &logged{Level: r.Level, Text: cut(r.Message)}
	add := func(a slog.Attr) bool {
		l.Attrs = append(l.Attrs, [2]string{a.Key, cut(a.Value.String())})
		return len(l.Attrs) < 32
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	h.to.say(message{Log: l})
	return nil
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.to, append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(string) slog.Handler { return h }
