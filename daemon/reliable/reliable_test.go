package reliable

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/moongate-vpn/moongate/daemon/wire"
)

var start = time.Unix(1_700_000_000, 0)

func at(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }

func queue(t testing.TB, s *Sender, n int) {
	t.Helper()
	for range n {
		if _, ok := s.Queue(wire.OpControlV1, []byte("x"), start); !ok {
			t.Fatal("window full")
		}
	}
}

func due(s *Sender, now time.Time) (ids []uint32) {
	for _, m := range s.Due(nil, now) {
		ids = append(ids, m.ID)
	}
	return ids
}

// TestBackoff is a silent peer: 0, 2, 6, 14, 30 s.
func TestBackoff(t *testing.T) {
	s := NewSender(0)
	queue(t, s, 1)
	var got []time.Duration
	for range 5 {
		now := s.NextDeadline()
		if ids := due(s, now.Add(-time.Nanosecond)); len(ids) != 0 {
			t.Errorf("due %v before the deadline", ids)
		}
		if diff := cmp.Diff([]uint32{0}, due(s, now)); diff != "" {
			t.Error(diff)
		}
		got = append(got, now.Sub(start))
	}
	want := []time.Duration{0, 2 * time.Second, 6 * time.Second, 14 * time.Second, 30 * time.Second}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWindow(t *testing.T) {
	s := NewSender(time.Second)
	queue(t, s, SendWindow)
	if _, ok := s.Queue(wire.OpControlV1, nil, start); ok || s.Room() != 0 {
		t.Error("room beyond the window")
	}
	due(s, start)
	s.Ack([]uint32{1, 2}, start)
	if s.Room() != 0 {
		t.Error("the window moved past an unacknowledged message")
	}
	s.Ack([]uint32{0}, start)
	if s.Room() != 3 {
		t.Errorf("room for %d, want 3", s.Room())
	}
	if id, ok := s.Queue(wire.OpControlV1, nil, start); !ok || id != SendWindow {
		t.Errorf("next message is %d, %v", id, ok)
	}
	due(s, start)
	s.Ack([]uint32{3, 4, 5, 6}, start)
	if !s.Empty() || !s.NextDeadline().IsZero() {
		t.Error("not empty after all acks")
	}
}

func TestAckOfNothing(t *testing.T) {
	s := NewSender(time.Second)
	queue(t, s, 2)
	s.Ack([]uint32{0, 1, 2, 7, ^uint32(0)}, start) // nothing was sent yet
	if diff := cmp.Diff([]uint32{0, 1}, due(s, start)); diff != "" {
		t.Error(diff)
	}
}

func TestEarlyResend(t *testing.T) {
	s := NewSender(2 * time.Second)
	queue(t, s, 6)
	due(s, start)
	s.Ack([]uint32{1, 1, 1, 2}, at(0.1)) // repeats do not count
	if ids := due(s, at(0.1)); ids != nil {
		t.Errorf("due %v after two later acks", ids)
	}
	s.Ack([]uint32{4}, at(0.2))
	if diff := cmp.Diff([]uint32{0}, due(s, at(0.2))); diff != "" {
		t.Error(diff)
	}
	if ids := due(s, at(0.2)); ids != nil {
		t.Errorf("due %v at once again", ids)
	}
}

func TestBurst(t *testing.T) {
	s := NewSender(2 * time.Second)
	queue(t, s, 3)
	due(s, start)
	due(s, at(2))
	s.Ack([]uint32{1}, at(3))
	s.Burst(at(3))
	if diff := cmp.Diff([]uint32{0, 2}, due(s, at(3))); diff != "" {
		t.Error(diff)
	}
	if got := s.NextDeadline(); !got.Equal(at(5)) {
		t.Errorf("next at %v, want a timer started over", got.Sub(start))
	}
}

func TestAfterStatelessReset(t *testing.T) {
	s, r := NewSender(0), NewReceiver()
	s.QueueAcked()
	r.OfferDelivered()
	if id, _ := s.Queue(wire.OpControlV1, nil, start); id != 1 {
		t.Errorf("first message is %d, want 1", id)
	}
	if got := r.Offer(0, wire.OpControlHardResetClientV2, nil); got != Duplicate || r.Expected() != 1 {
		t.Errorf("message 0: %v, then expecting %d", got, r.Expected())
	}
}

func TestOffer(t *testing.T) {
	r := NewReceiver()
	for i, s := range []struct {
		id   uint32
		want Outcome
	}{{0, Stored}, {0, Duplicate}, {2, Stored}, {11, Stored}, {12, Dropped}, {^uint32(0), Duplicate}, {1 << 31, Duplicate}} {
		if got := r.Offer(s.id, wire.OpControlV1, []byte{byte(s.id)}); got != s.want {
			t.Errorf("step %d, message %d: %v, want %v", i, s.id, got, s.want)
		}
	}
	if m, ok := r.Pop(); !ok || m.ID != 0 || m.Op != wire.OpControlV1 || !bytes.Equal(m.Payload, []byte{0}) {
		t.Errorf("first: %+v, %v", m, ok)
	}
	if m, ok := r.Pop(); ok {
		t.Errorf("message %d out of order", m.ID)
	}
	if got := r.Offer(12, wire.OpControlV1, nil); got != Stored {
		t.Errorf("message 12 after the window moved: %v", got)
	}
	if got := r.Offer(0, wire.OpControlV1, nil); got != Duplicate {
		t.Errorf("a delivered message: %v", got)
	}
}

// TestAcks is the series seen from stock: each packet repeats what the ones before acknowledged.
func TestAcks(t *testing.T) {
	r := NewReceiver()
	offer := func(ids ...uint32) {
		for _, id := range ids {
			r.Offer(id, wire.OpControlV1, nil)
		}
	}
	check := func(limit int, owes bool, want ...uint32) {
		t.Helper()
		if diff := cmp.Diff(want, r.Acks(nil, limit)); diff != "" {
			t.Error(diff)
		}
		if r.Owes() != owes {
			t.Errorf("owes: %v, want %v", r.Owes(), owes)
		}
	}
	check(PiggybackAcks, false)
	offer(0)
	check(PiggybackAcks, false, 0)
	offer(1, 2)
	check(PiggybackAcks, false, 2, 1, 0)
	offer(3, 4)
	check(PiggybackAcks, false, 4, 3, 2, 1)
	offer(5, 6)
	check(PacketAcks, false, 6, 5, 4, 3, 2, 1, 0)
	check(PacketAcks, false, 6, 5, 4, 3, 2, 1, 0)
	offer(3)
	check(PiggybackAcks, false, 3, 6, 5, 4)
	offer(7, 8, 9, 10, 11)
	check(PiggybackAcks, true, 10, 9, 8, 7)
	check(PacketAcks, false, 11, 10, 9, 8, 7, 3, 6, 5)
}

func TestPendingIsBounded(t *testing.T) {
	r := NewReceiver()
	for id := range uint32(200) {
		r.Offer(id, wire.OpControlV1, nil)
		r.Pop()
		r.Acks(nil, PacketAcks)
	}
	for id := range uint32(200) {
		r.Offer(id, wire.OpControlV1, nil)
	}
	if len(r.pending) != maxPending {
		t.Errorf("owes %d acks", len(r.pending))
	}
	if got := r.Offer(200, wire.OpControlV1, nil); got != Dropped {
		t.Errorf("a message that cannot be acknowledged: %v", got)
	}
}

// TestModel sends messages over a link that loses, repeats and reorders, with acks as lossy as messages: everything
// arrives once and in order, and both sides come to rest.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const total = 40
		type packet struct {
			id      uint32
			payload []byte
		}
		s, r := NewSender(time.Second), NewReceiver()
		now, queued, delivered := start, uint32(0), uint32(0)
		var link []packet
		var acks [][]uint32
		for round := 0; delivered < total || !s.Empty(); round++ {
			if round > 2000 {
				t.Fatalf("stuck: %d delivered, sender at %d..%d", delivered, s.oldest, s.next)
			}
			lossy := round < 150
			for queued < total && s.Room() > 0 {
				id, ok := s.Queue(wire.OpControlV1, binary.BigEndian.AppendUint32(nil, queued), now)
				if !ok || id != queued {
					t.Fatalf("queued %d as %d, %v", queued, id, ok)
				}
				queued++
			}
			for _, m := range s.Due(nil, now) {
				if m.ID-s.oldest >= SendWindow {
					t.Fatalf("message %d beyond the window at %d", m.ID, s.oldest)
				}
				link = append(link, packet{m.ID, bytes.Clone(m.Payload)})
			}
			for len(link) > 0 {
				i := 0
				fate := 9
				if lossy {
					i = rapid.IntRange(0, len(link)-1).Draw(t, "which")
					fate = rapid.IntRange(0, 9).Draw(t, "fate")
				}
				if fate == 8 {
					break // delayed to a later round
				}
				p := link[i]
				if fate != 7 { // 7 repeats it
					link = append(link[:i], link[i+1:]...)
				}
				if fate < 3 {
					continue
				}
				r.Offer(p.id, wire.OpControlV1, p.payload)
				for m, ok := r.Pop(); ok; m, ok = r.Pop() {
					if m.ID != delivered || binary.BigEndian.Uint32(m.Payload) != delivered {
						t.Fatalf("got message %d with %x, want %d", m.ID, m.Payload, delivered)
					}
					delivered++
				}
				if r.Owes() {
					acks = append(acks, r.Acks(nil, PiggybackAcks))
				}
			}
			for _, ids := range acks {
				if len(ids) > PiggybackAcks {
					t.Fatalf("%d acks", len(ids))
				}
				if !lossy || rapid.IntRange(0, 3).Draw(t, "ack") > 0 {
					s.Ack(ids, now)
				}
			}
			acks = acks[:0]
			if next := s.NextDeadline(); next.After(now) && (!lossy || rapid.Bool().Draw(t, "wait")) {
				now = next
			} else {
				now = now.Add(10 * time.Millisecond)
			}
		}
		if !s.NextDeadline().IsZero() {
			t.Fatal("a deadline is left")
		}
	})
}

// A message costs a copy at each end, and none is left once it is delivered and acknowledged: thousands of idle clients
// would keep those of their handshakes.
func TestAllocs(t *testing.T) {
	s, r := NewSender(0), NewReceiver()
	msgs, acks, payload := make([]Message, 0, SendWindow), make([]uint32, 0, PacketAcks), make([]byte, 1200)
	step := func() {
		s.Queue(wire.OpControlV1, payload, start)
		msgs = s.Due(msgs[:0], start)
		for _, m := range msgs {
			r.Offer(m.ID, m.Op, m.Payload)
			r.Pop()
		}
		acks = r.Acks(acks[:0], PiggybackAcks)
		s.Ack(acks, start)
	}
	for range ReceiveWindow {
		step()
	}
	if n := testing.AllocsPerRun(100, step); n > 2 {
		t.Errorf("a message allocates %v times", n)
	}
	for i := range s.slots {
		if s.slots[i].payload != nil {
			t.Errorf("an idle sender keeps the bytes of a message")
		}
	}
	for i := range r.slots {
		if r.slots[i].payload != nil {
			t.Errorf("an idle receiver keeps the bytes of a message")
		}
	}
}

// A message that is hastened is due then, and its later repetitions double from the start again; one that is due earlier stays.
func TestHasten(t *testing.T) {
	s := NewSender(0)
	queue(t, s, 1)
	var got []time.Duration
	for n, pause := range []float64{0.25, 0.5, 1, 9, 99} {
		now := s.NextDeadline()
		if ids := due(s, now); len(ids) != 1 {
			t.Fatalf("send %d: due %v", n, ids)
		}
		got = append(got, now.Sub(start))
		s.Hasten(now.Add(time.Duration(pause * float64(time.Second))))
	}
	want := []time.Duration{0, 250 * time.Millisecond, 750 * time.Millisecond, 1750 * time.Millisecond, 3750 * time.Millisecond}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
