package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Config configures Open. The zero value of a field is its default.
type Config struct {
	Dir     string        // made when it is missing
	Run     int64         // of the events; default the milliseconds since 1970
	Segment int64         // bytes of a segment before the next begins; default 16 MiB
	Keep    int64         // bytes of all segments together; default 4 GiB
	Age     time.Duration // of the newest event in a segment before it is removed; default 400 days
	Queue   int           // events that wait for the disk; default 8192
	Batch   time.Duration // between two writes; default 200 ms
	User    int           // that the process becomes: segments that root makes before belong to it; default none
	// Log takes one line when the disk begins to fail, and one when it works again.
	Log func(format string, args ...any)
	// Wrote is called after each batch that is on the disk and after segments were removed. May be nil.
	Wrote func()
}

func (c *Config) defaults() {
	set := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	set(&c.Segment, 16<<20)
	set(&c.Keep, 4<<30)
	set((*int64)(&c.Age), int64(400*24*time.Hour))
	set((*int64)(&c.Batch), int64(200*time.Millisecond))
	set(&c.Run, time.Now().UnixMilli())
	if c.Queue == 0 {
		c.Queue = 8192
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	if c.Wrote == nil {
		c.Wrote = func() {}
	}
}

// Writer appends events. Record may be called from any goroutine; a nil Writer records nothing.
type Writer struct {
	cfg     Config
	root    *os.Root // works on after a chroot
	queue   chan Event
	stop    chan struct{}
	once    sync.Once
	done    chan struct{}
	dropped atomic.Uint64

	// Owned by the goroutine.
	file    *os.File
	size    int64
	next    int64 // number of the next segment
	failing bool
	told    uint64 // dropped events that the journal tells of
}

// Open makes the directory and starts to write, always into a new segment: what a crash left behind stays as it is.
func Open(cfg Config) (*Writer, error) {
	cfg.defaults()
	if err := os.MkdirAll(cfg.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	root, err := os.OpenRoot(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	list, err := Segments(root.FS())
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	w := &Writer{
		cfg: cfg, root: root, queue: make(chan Event, cfg.Queue),
		stop: make(chan struct{}), done: make(chan struct{}), next: 1,
	}
	if len(list) > 0 {
		w.next = list[len(list)-1].Number + 1
	}
	go w.loop()
	return w, nil
}

// Record takes an event for the next batch, and never waits: with the queue full the event is dropped and counted. Version and
// Run are filled in, and Time when it is zero.
func (w *Writer) Record(e Event) {
	if w == nil {
		return
	}
	e = e.Stamped(w.cfg.Run)
	select {
	case w.queue <- e:
	default:
		w.dropped.Add(1)
	}
}

// Dropped is how many events are lost: the queue was full, or the disk failed.
func (w *Writer) Dropped() uint64 {
	if w == nil {
		return 0
	}
	return w.dropped.Load()
}

// Waiting is how many events wait for the disk.
func (w *Writer) Waiting() int {
	if w == nil {
		return 0
	}
	return len(w.queue)
}

// Close writes what waits and ends. Events recorded after it are lost.
func (w *Writer) Close() {
	if w == nil {
		return
	}
	w.once.Do(func() { close(w.stop) })
	<-w.done
}

func (w *Writer) loop() {
	defer close(w.done)
	defer w.root.Close() //nolint:errcheck // nothing is written through it
	tick := time.NewTicker(w.cfg.Batch)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.batch()
		case <-w.stop:
			w.batch()
			w.closeFile()
			return
		}
	}
}

// batch writes what waits, and brings it to the disk.
func (w *Writer) batch() {
	n := len(w.queue)
	if n == 0 {
		return
	}
	var text []byte
	lost := w.dropped.Load()
	if lost > w.told {
		e := Event{Version: Version, Time: time.Now().UTC().Truncate(time.Millisecond), Kind: KindLost, Run: w.cfg.Run, Text: fmt.Sprint(lost - w.told)}
		if b, err := json.Marshal(e); err == nil {
			text = append(b, '\n')
		}
	}
	for range n {
		b, err := json.Marshal(<-w.queue)
		if err != nil {
			w.dropped.Add(1) // only a float without a value has no form
			n--
			continue
		}
		text = append(append(text, b...), '\n')
	}
	err := w.write(text)
	if err != nil {
		w.dropped.Add(uint64(n)) //nolint:gosec // not negative
		w.closeFile()            // the next attempt begins a segment: this one may end in half a line
		if !w.failing {
			w.cfg.Log("journal: events are lost until %s can be written: %v", w.cfg.Dir, err)
		}
	} else if w.failing {
		w.cfg.Log("journal: %s is written again, %d events are lost", w.cfg.Dir, w.Dropped())
	}
	if w.failing = err != nil; !w.failing {
		w.told = lost
		w.cfg.Wrote()
	}
}

func (w *Writer) write(text []byte) error {
	if w.file != nil && w.size+int64(len(text)) > w.cfg.Segment {
		w.closeFile()
	}
	if w.file == nil {
		w.expire()
		f, err := w.root.OpenFile(SegmentName(w.next), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o640)
		if err != nil {
			return err
		}
		w.next++
		if w.cfg.User > 0 && os.Geteuid() == 0 { // Give may have passed already, and the index is read as the user
			if err := f.Chown(w.cfg.User, -1); err != nil {
				return errors.Join(err, f.Close())
			}
		}
		w.file, w.size = f, 0
	}
	n, err := w.file.Write(text)
	w.size += int64(n)
	if err != nil {
		return err
	}
	return w.file.Sync()
}

func (w *Writer) closeFile() {
	if w.file != nil {
		_ = w.file.Close() // each batch was synchronised
		w.file = nil
	}
}

// expire removes segments that are too old, and the oldest while there are too many bytes.
func (w *Writer) expire() {
	list, err := Segments(w.root.FS())
	if err != nil {
		return // the next write tells
	}
	total := w.cfg.Segment
	for _, s := range list {
		total += s.Info.Size()
	}
	for _, s := range list {
		if total <= w.cfg.Keep && time.Since(s.Info.ModTime()) <= w.cfg.Age {
			continue
		}
		if w.root.Remove(SegmentName(s.Number)) == nil {
			total -= s.Info.Size()
		}
	}
}
