package server

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/server/forward"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/tun"
)

// maxTunPacket is the largest packet of a device, in bytes. A larger MTU is refused when the device is opened.
const maxTunPacket = 9216

// sealQueue is how many batches may wait for one sealing worker before the reader of the device waits for it.
const sealQueue = 4

// batch holds packets that one read of the device returned, on their way through the workers. It goes back to the free list when the last of
// them is done with it.
type batch struct {
	bufs  [][]byte
	sizes []int
	to    []*dataPath // nil: nothing to send to one client
	all   []bool      // for all clients
	vlan  []uint16    // of a frame
	n     int
	users atomic.Int32
	free  chan<- *batch
}

func (t *batch) done() {
	if t.users.Add(-1) == 0 {
		clear(t.to)
		t.free <- t
	}
}

// outbound reads the device, finds the client of each packet, and deals the batches to sealing workers.
type outbound struct {
	*plane
	workers []worker
	free    chan *batch
	own     sender // for what the reader sends itself
}

// worker seals for the clients whose slots fall to it, in the order of its queue.
type worker struct {
	queue   chan *batch  // closed by run
	pending atomic.Int32 // batches queued or being sealed; only the reader adds
}

// maxWorkers is how many workers deal can tell apart.
const maxWorkers = 64

// handOff is from how many packets on a batch is given to a worker that has nothing to do. Sealing fewer takes no longer
// than waking it.
const handOff = 8

// newOutbound makes an outbound with n workers; each runs seal on a goroutine of its own.
func newOutbound(p *plane, n int) *outbound {
	n = min(n, maxWorkers)
	o := &outbound{plane: p, workers: make([]worker, n)}
	batches := n*sealQueue + 1
	o.free = make(chan *batch, batches)
	size := p.dev.BatchSize()
	for range batches {
		t := &batch{bufs: make([][]byte, size), sizes: make([]int, size), to: make([]*dataPath, size), all: make([]bool, size), vlan: make([]uint16, size), free: o.free}
		for i := range t.bufs {
			t.bufs[i] = make([]byte, tun.Offset+p.maxPacket)
		}
		o.free <- t
	}
	for w := range o.workers {
		o.workers[w].queue = make(chan *batch, sealQueue)
	}
	o.own = sender{plane: p}
	return o
}

// run reads until the device is closed, which is nil, or breaks.
func (o *outbound) run() error {
	defer func() {
		for w := range o.workers {
			close(o.workers[w].queue)
		}
	}()
	for {
		t := <-o.free
		n, err := o.dev.Read(t.bufs, t.sizes, tun.Offset)
		t.n = n
		if n > 0 {
			o.deal(t)
		}
		if err != nil {
			if errors.Is(err, os.ErrClosed) || errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if n == 0 {
			o.free <- t
		}
	}
}

// deal finds the receivers of a batch and hands it to the workers.
func (o *outbound) deal(t *batch) {
	now := time.Now()
	var mine uint64 // workers that have something to do
	var routes forward.Reader[*dataPath]
	if !o.tap {
		routes = o.routes.Read()
	}
	toAll := false
	for i := range t.n {
		var to *dataPath
		var all bool
		if o.tap {
			to, all = o.station(t, i, second(now))
		} else {
			to, all = o.receiver(routes, t.packet(i), second(now))
		}
		t.to[i], t.all[i] = to, all
		toAll = toAll || all
		if to != nil {
			mine |= 1 << (int(to.slot) % len(o.workers))
		}
	}
	if !o.tap {
		routes.Done()
	}
	if toAll {
		o.broadcast(t, now)
	}
	t.users.Store(1)
	for w := range o.workers {
		if mine&(1<<w) == 0 {
			continue
		}
		if t.n < handOff && o.workers[w].pending.Load() == 0 {
			o.sealFor(w, t, &o.own, now) // nothing of its clients waits, so nothing is overtaken
			continue
		}
		t.users.Add(1)
		o.workers[w].pending.Add(1)
		o.workers[w].queue <- t
	}
	t.done()
}

// receiver is the client of a packet, or all of them.
func (o *outbound) receiver(routes forward.Reader[*dataPath], pkt []byte, now int64) (to *dataPath, all bool) {
	src, dst, ok := forward.Addresses(pkt)
	if !ok {
		return nil, false
	}
	if forward.IsMulticast(dst) {
		return nil, true
	}
	to, _ = routes.Lookup(dst, now)
	if to != nil && to.node != nil && !o.relaying.mayGo(routes, src, now) {
		return nil, false
	}
	return to, false
}

// broadcast sends the packets of a batch that are for all clients.
func (o *outbound) broadcast(t *batch, now time.Time) {
	for i := range t.n {
		if !t.all[i] {
			continue
		}
		slots := o.table.all()
		for s := range slots {
			if to := slots[s].Load(); to != nil && to.tunnel.Load() != nil && to.vlan == t.vlan[i] {
				o.own.add(to, t.packet(i), now)
			}
		}
	}
	o.own.flush(now)
}

func (t *batch) packet(i int) []byte { return t.bufs[i][tun.Offset : tun.Offset+t.sizes[i]] }

// seal is worker w.
func (o *outbound) seal(w int) {
	s := sender{plane: o.plane}
	for t := range o.workers[w].queue {
		o.sealFor(w, t, &s, time.Now())
		t.done()
		o.workers[w].pending.Add(-1)
	}
}

// sealFor seals and sends what is for the clients of worker w, all packets of one client in a row.
func (o *outbound) sealFor(w int, t *batch, s *sender, now time.Time) {
	for i := range t.n {
		if to := t.to[i]; to != nil && int(to.slot)%len(o.workers) == w {
			s.add(to, t.packet(i), now)
		}
	}
	s.flush(now)
}

// sender collects payloads for one client in a row, seals them behind each other and sends them together. It belongs
// to one goroutine; payloads must stay as they are until flush.
type sender struct {
	*plane
	to       *dataPath
	tos      uint8 // of the payloads, with passtos
	payloads [][]byte
	sealed   data.Batch
}

// add queues a payload for a client; what waits for another one is sent first.
func (s *sender) add(to *dataPath, payload []byte, now time.Time) {
	tos := uint8(0)
	if s.passTOS {
		tos = transport.TOSOf(payload)
	}
	if to != s.to || tos != s.tos || len(s.payloads) >= transport.MaxPackets {
		s.flush(now)
		s.to, s.tos = to, tos
	}
	s.payloads = append(s.payloads, payload)
}

// flush seals and sends what waits.
func (s *sender) flush(now time.Time) {
	if len(s.payloads) == 0 {
		return
	}
	to := s.to
	if ch := to.tunnel.Load(); ch != nil && ch.SealBatch(&s.sealed, s.payloads, now) == nil && len(s.sealed.Packets) > 0 {
		peer := *to.peer.Load()
		peer.TOS = s.tos
		if err := to.link.Send(peer, s.sealed.Packets); err != nil && !errors.Is(err, net.ErrClosed) {
			s.notice(err)
		}
		bytes := 0
		for _, p := range s.payloads {
			bytes += len(p)
		}
		to.counts.TunOut.Add(uint64(bytes))
		to.sent(s.sealed.Bytes(), now)
		s.total.Out.Add(uint64(s.sealed.Bytes()))
	}
	s.to, s.payloads = nil, s.payloads[:0]
}
