package ratelimit

import (
	"testing"
	"time"
)

func take(b *Bucket, n int, now time.Time) (allowed int) {
	for range n {
		if b.Allow(now) {
			allowed++
		}
	}
	return allowed
}

func TestBucket(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	b := New(100, 10*time.Second)
	steps := []struct {
		name   string
		after  time.Duration
		credit int
		ask    int
		want   int
	}{
		{"counted before", 0, 0, 3, 3},
		{"a flood", 0, 0, 150, 97},
		{"nothing left", 0, 0, 10, 0},
		{"one second brings ten", time.Second, 0, 50, 10},
		{"completed handshakes are credited", time.Second, 4, 50, 4},
		{"time going back brings nothing", 0, 0, 5, 0},
		{"credit never exceeds the capacity", time.Hour, 50, 200, 100},
	}
	for _, s := range steps {
		for range s.credit {
			b.Credit()
		}
		if got := take(b, s.ask, start.Add(s.after)); got != s.want {
			t.Errorf("%s: %d of %d allowed, want %d", s.name, got, s.ask, s.want)
		}
	}
}

func TestNilAllowsEverything(t *testing.T) {
	for _, b := range []*Bucket{New(0, time.Second), New(5, 0), nil} {
		b.Credit()
		if got := take(b, 1000, time.Unix(1, 0)); got != 1000 {
			t.Errorf("%d of 1000 allowed", got)
		}
	}
}
