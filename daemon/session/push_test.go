package session

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// A stage is reached once, and never left for an earlier one.
func TestStages(t *testing.T) {
	var s Stage
	for _, tt := range []struct {
		to   Stage
		news bool
		is   Stage
	}{
		{Handshake, false, Handshake}, {Authorised, true, Authorised}, {Authorised, false, Authorised}, {Established, true, Established},
		{Configured, false, Established}, {Gone, true, Gone}, {Established, false, Gone},
	} {
		if news := s.Reach(tt.to); news != tt.news || s != tt.is {
			t.Errorf("to %d: news %v at %d, want %v at %d", tt.to, news, s, tt.news, tt.is)
		}
	}
}

// A server answers the first request when the tunnel is up, and none that the client sent before it had the reply.
func TestPush(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	var p Push
	if p.Requested() || p.Request(Handshake, start) || p.Request(Authorised, start) || p.Request(Configured, start) || !p.Requested() {
		t.Error("a request before the tunnel is up is kept, and not answered")
	}
	if !p.Request(Established, start) || !p.Sent(start) || p.Sent(start) {
		t.Error("the first request of an open tunnel is answered, and the first reply is the first")
	}
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{{0, false}, {29 * time.Second, false}, {30 * time.Second, true}, {time.Hour, true}} {
		if got := p.Request(Established, start.Add(tt.after)); got != tt.want {
			t.Errorf("a request after %v: answered %v, want %v", tt.after, got, tt.want)
		}
	}
}

// A client asks a second after its key is active, then every five seconds, and gives up in the place of a request.
func TestPullAsks(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	var p Pull
	if due, next := p.Check(start); due != PullNothing || !next.IsZero() {
		t.Errorf("before the start: %v, next %v", due, next)
	}
	p.Start(start, 13*time.Second)
	p.Start(start.Add(time.Hour), time.Hour) // a second start changes nothing
	if !p.Since().Equal(start) {
		t.Errorf("since %v", p.Since())
	}
	for _, tt := range []struct {
		at   time.Duration
		due  PullDue
		next time.Duration
	}{
		{0, PullNothing, time.Second}, {time.Second, PullFirst, 6 * time.Second}, {2 * time.Second, PullNothing, 6 * time.Second},
		{7 * time.Second, PullAsk, 12 * time.Second}, {11 * time.Second, PullNothing, 12 * time.Second},
	} {
		due, next := p.Check(start.Add(tt.at))
		if due != tt.due || next.Sub(start) != tt.next {
			t.Errorf("after %v: %v, next after %v; want %v, %v", tt.at, due, next.Sub(start), tt.due, tt.next)
		}
	}
	p.Limit(start.Add(12 * time.Second)) // cut short
	if due, _ := p.Check(start.Add(12 * time.Second)); due != PullOverdue {
		t.Errorf("after its time: %v", due)
	}
	p.Limit(start.Add(20 * time.Second))
	if due, _ := p.Check(start.Add(12 * time.Second)); due != PullAsk {
		t.Errorf("after more time was given: %v", due)
	}
	if complete, ok := p.Reply("route 10.0.0.0 255.0.0.0,push-continuation 2"); complete || !ok || p.Pulled() {
		t.Error("the first of two parts completes the pull")
	}
	if complete, ok := p.Reply("ping 10,push-continuation 1"); !complete || !ok || !p.Pulled() {
		t.Error("the last part does not complete the pull")
	}
	if due, next := p.Check(start.Add(time.Hour)); due != PullNothing || !next.IsZero() {
		t.Errorf("after the reply: %v, next %v", due, next)
	}
	if want := []string{"route 10.0.0.0 255.0.0.0", "push-continuation 2", "ping 10"}; !slices.Equal(p.Options.Options, want) {
		t.Errorf("options %q, want %q", p.Options.Options, want)
	}
}

// Updates wait for the tunnel and for one another, in their order, and their number is bounded.
func TestPullUpdates(t *testing.T) {
	var p Pull
	if err := p.Update("route 1"); !errors.Is(err, ErrEarlyUpdate) {
		t.Errorf("before the options: %v", err)
	}
	p.Opened() // counts for nothing
	p.Reply("ping 10")
	for _, part := range []string{"a,push-continuation 2", "b,push-continuation 1", "c"} {
		if err := p.Update(part); err != nil {
			t.Errorf("%s: %v", part, err)
		}
	}
	if _, ok := p.NextUpdate(); ok {
		t.Error("an update before the tunnel is open")
	}
	p.Opened()
	if got, ok := p.NextUpdate(); !ok || strings.Join(got, " ") != "a b" {
		t.Errorf("the first update: %q %v", got, ok)
	}
	if _, ok := p.NextUpdate(); ok {
		t.Error("two updates at once")
	}
	p.Updated([]string{"ping 10", "a", "b"})
	if got, ok := p.NextUpdate(); !ok || strings.Join(got, " ") != "c" {
		t.Errorf("the second update: %q %v", got, ok)
	}
	p.Updated([]string{"c"})
	if _, ok := p.NextUpdate(); ok || !slices.Equal(p.Options.Options, []string{"c"}) {
		t.Errorf("a third update, or options %q", p.Options.Options)
	}
	for n := range maxUpdates {
		if err := p.Update("x"); err != nil {
			t.Fatalf("update %d: %v", n, err)
		}
	}
	if err := p.Update("x"); !errors.Is(err, ErrUpdates) {
		t.Errorf("one more than may wait: %v", err)
	}
}

// A list without end is refused, not kept.
func TestPullWithoutEnd(t *testing.T) {
	part := strings.Repeat("x,", 1<<17) + "push-continuation 2"
	var reply, update Pull
	ok := true
	for range 4 {
		if _, ok = reply.Reply(part); !ok {
			break
		}
	}
	if ok || reply.Pulled() {
		t.Error("a reply without end is accepted")
	}
	update.Reply("ping 1")
	var err error
	for range 4 {
		if err = update.Update(part); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrUpdates) {
		t.Errorf("an update without end: %v", err)
	}
}
