package web

import (
	"encoding/json"
	"sync"
	"time"
)

// Limits of streams.
const (
	streamsMax  = 64
	streamQueue = 64 // messages that wait for a browser; after that it gets everything anew
)

// message is one server-sent event.
type message struct {
	event string
	data  []byte
}

// hub shares what the feed sees out to the streams of browsers.
type hub struct {
	mu      sync.Mutex // guards all below
	rows    table
	daemon  daemon
	at      int64 // of the last change, milliseconds since 1970
	streams map[*stream]struct{}

	first chan struct{} // holds a token once a stream has come where none was
}

// stream is a browser that listens.
type stream struct {
	queue  chan message
	behind bool // the hub's: the queue was full, and everything is due
}

func newHub(name string) *hub {
	return &hub{
		rows: make(table), daemon: daemon{Name: name}, at: time.Now().UnixMilli(),
		streams: make(map[*stream]struct{}), first: make(chan struct{}, 1),
	}
}

// join adds a stream that begins with everything. It returns nil when there are too many.
func (h *hub) join() *stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.streams) >= streamsMax {
		return nil
	}
	s := &stream{queue: make(chan message, streamQueue)}
	h.streams[s] = struct{}{}
	s.queue <- h.everything()
	if len(h.streams) == 1 {
		select {
		case h.first <- struct{}{}:
		default:
		}
	}
	return s
}

func (h *hub) leave(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.streams, s)
}

// watched reports whether there is a stream.
func (h *hub) watched() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.streams) > 0
}

// everything is the change that a stream begins with.
func (h *hub) everything() message {
	c := h.rows.all()
	c.At, c.Daemon = h.at, new(h.daemon) // when the counts were read: rates follow from the next ones
	return encode("clients", c)
}

func encode(event string, v any) message {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types
	}
	return message{event, b}
}

// change tells the streams what edit does to the table and the daemon.
func (h *hub) change(edit func(rows table, d *daemon) change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := edit(h.rows, &h.daemon)
	if !c.empty() {
		h.at = time.Now().UnixMilli()
		c.At = h.at
		h.tell(encode("clients", c))
	}
}

// note tells the streams of a notification.
func (h *hub) note(v any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tell(encode("note", v))
}

// tell queues a message for each stream. One that is behind gets everything instead, once it has emptied its queue.
func (h *hub) tell(m message) {
	var everything *message
	for s := range h.streams {
		if s.behind && len(s.queue) == 0 {
			if everything == nil {
				everything = new(h.everything())
			}
			s.queue <- *everything
			s.behind = false
			continue
		}
		if s.behind {
			continue
		}
		select {
		case s.queue <- m:
		default:
			s.behind = true
		}
	}
}
