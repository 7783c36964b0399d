package client

import (
	"testing"
	"time"
)

func TestPauseDoublesAfterFourRounds(t *testing.T) {
	for _, tt := range []struct {
		name               string
		attempts, profiles int
		base, limit        time.Duration
		backoff            time.Duration
		want               time.Duration
	}{
		{name: "first", attempts: 1, profiles: 1, base: time.Second, limit: 300 * time.Second, want: time.Second},
		{name: "fourth", attempts: 4, profiles: 1, base: time.Second, limit: 300 * time.Second, want: time.Second},
		{name: "fifth", attempts: 5, profiles: 1, base: time.Second, limit: 300 * time.Second, want: 2 * time.Second},
		{name: "sixth", attempts: 6, profiles: 1, base: time.Second, limit: 300 * time.Second, want: 4 * time.Second},
		{name: "capped", attempts: 40, profiles: 1, base: time.Second, limit: 300 * time.Second, want: 300 * time.Second},
		{name: "two profiles", attempts: 9, profiles: 2, base: time.Second, limit: 300 * time.Second, want: time.Second},
		{name: "server's backoff", attempts: 1, profiles: 1, base: time.Second, limit: 300 * time.Second, backoff: 4 * time.Second, want: 4 * time.Second},
		{name: "backoff above the limit", attempts: 1, profiles: 1, base: time.Second, limit: 2 * time.Second, backoff: 7 * time.Second, want: 2 * time.Second},
		{name: "base above the limit", attempts: 1, profiles: 1, base: nointeractBase, limit: 5 * time.Second, want: 5 * time.Second},
		{name: "smaller backoff", attempts: 6, profiles: 1, base: 5 * time.Second, limit: 300 * time.Second, backoff: 4 * time.Second, want: 20 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := pauses{attempts: tt.attempts, backoff: tt.backoff}
			if got := p.next(tt.base, tt.limit, tt.profiles); got != tt.want {
				t.Errorf("pause = %v, want %v", got, tt.want)
			}
			if p.backoff != 0 {
				t.Error("the server's backoff outlived its pause")
			}
		})
	}
}

func TestRoundsAreBounded(t *testing.T) {
	p := pauses{attempts: 3}
	if p.exhausted(2, 2) {
		t.Error("three attempts are not two rounds through two profiles")
	}
	p.attempts = 4
	if !p.exhausted(2, 2) {
		t.Error("four attempts are two rounds through two profiles")
	}
	if p.exhausted(0, 2) {
		t.Error("without a limit the client never gives up")
	}
}
