package session

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest/clock"
)

// wallStep is how far the wall clock of a pair is from the right time. Pairs are played one at a time.
var wallStep time.Duration

// anchor is a time with a monotonic part, which times in the bubbles of synctest have not.
var (
	anchor  = time.Now()
	bubbles = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
)

// present is the time by the clock of a pair.
func present() time.Time { return clock.Stepped(anchor.Add(time.Since(bubbles)), wallStep) }

// Whatever the wall clock does between the steps of a dialogue, it goes as without: pings, ping-restart, renewals, hand-window, inactive,
// session-timeout, logins that wait, pushes. Tokens are of the wall clock, and have dialogues of their own (token, clock).
func TestDialoguesUnderASteppingClock(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("dialogues: %v %v", files, err)
	}
	for _, path := range files {
		if base := filepath.Base(path); base == "token.txt" || base == "clock.txt" {
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			var got bytes.Buffer
			synctest.Test(t, func(t *testing.T) {
				steps, at := []time.Duration{-time.Hour, 0, 24 * time.Hour, 0}, 0 // there and back
				playDialogue(t, string(want), &got, func() { wallStep, at = steps[at%len(steps)], at+1 })
			})
			if diff := cmp.Diff(pairByPair(string(want)), pairByPair(got.String())); diff != "" {
				t.Errorf("with the clock in steps (-want +got):\n%s", diff)
			}
		})
	}
}

// Setting the clock ends no session, of neither engine, and keeps none: each timer is due when its time has passed.
func TestClockSteps(t *testing.T) {
	start := time.Now()
	for _, step := range []time.Duration{-time.Hour, -time.Minute, time.Minute, time.Hour, 20 * 365 * 24 * time.Hour} {
		for _, tt := range []struct {
			limits Limits
			due    Due
		}{
			{Limits{PingRestart: 60 * time.Second}, PingRestartDue},
			{Limits{PingExit: 60 * time.Second}, PingExitDue},
			{Limits{Ping: 60 * time.Second}, PingDue},
			{Limits{Inactive: 60 * time.Second, InactiveBytes: 1}, InactiveDue},
			{Limits{Session: 60 * time.Second}, SessionTimeoutDue},
		} {
			var tr Traffic
			tm := Timers{Limits: tt.limits}
			tr.Begin(start)
			tr.Heard(start)
			tr.Sent(start)
			tm.Open()
			tm.Age(start)
			tm.Use(&tr, start)
			if due, _ := tm.Check(&tr, clock.Stepped(start.Add(50*time.Second), step)); due != NothingDue {
				t.Errorf("step of %v: %v due after 50 s of 60", step, due)
			}
			if due, _ := tm.Check(&tr, clock.Stepped(start.Add(61*time.Second), step)); due != tt.due {
				t.Errorf("step of %v: %v due after 61 s, want %v", step, due, tt.due)
			}
			// What is noted after the step counts from then.
			tr.Heard(clock.Stepped(start.Add(55*time.Second), step))
			tr.Sent(clock.Stepped(start.Add(55*time.Second), step))
			if due, _ := tm.Check(&tr, clock.Stepped(start.Add(100*time.Second), step)); due == PingDue || due == PingRestartDue || due == PingExitDue {
				t.Errorf("step of %v: %v due 45 s after the last packet", step, due)
			}
		}
	}
}
