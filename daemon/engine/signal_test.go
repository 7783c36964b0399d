package engine_test

import (
	"context"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/engine"
)

func TestPendingSignalKeepsTheHighestRank(t *testing.T) {
	s := engine.NewSignals()
	s.Raise(engine.Stop{Signal: engine.USR1, Source: engine.Soft, Reason: "ping-restart"})
	s.Raise(engine.Stop{Signal: engine.TERM})
	s.Raise(engine.Stop{Signal: engine.HUP})
	got, ok := s.Take()
	if !ok || got.Signal != engine.TERM {
		t.Fatalf("Take = %v %v, want SIGTERM", got, ok)
	}
	if _, ok := s.Take(); ok {
		t.Error("a taken signal is still pending")
	}
}

func TestFirstOfEqualRankStays(t *testing.T) {
	s := engine.NewSignals()
	s.Raise(engine.Stop{Signal: engine.USR1, Source: engine.Soft, Reason: "tls-error"})
	s.Raise(engine.Stop{Signal: engine.USR1})
	if got, _ := s.Take(); got.Reason != "tls-error" {
		t.Errorf("reason = %q, want the first one's", got.Reason)
	}
}

func TestRemapTurnsUSR1Around(t *testing.T) {
	s := engine.NewSignals()
	s.Remap(engine.HUP)
	if got := s.Raise(engine.Stop{Signal: engine.USR1, Source: engine.Soft, Reason: "ping-restart"}); got != engine.HUP {
		t.Errorf("effective = %v, want SIGHUP", got)
	}
	if got, _ := s.Take(); got.Signal != engine.HUP || got.Reason != "ping-restart" {
		t.Errorf("pending = %+v", got)
	}
}

func TestStatisticsDoNotStop(t *testing.T) {
	s := engine.NewSignals()
	s.Raise(engine.Stop{Signal: engine.USR2})
	if _, ok := s.Pending(); ok {
		t.Error("SIGUSR2 is pending as a stop")
	}
	select {
	case <-s.Statistics():
	default:
		t.Error("nobody was told about SIGUSR2")
	}
}

func TestContextEndsWithASignal(t *testing.T) {
	s := engine.NewSignals()
	ctx, cancel := s.Context(context.Background())
	defer cancel()
	if ctx.Err() != nil {
		t.Fatal("ended before any signal")
	}
	s.Raise(engine.Stop{Signal: engine.USR1})
	if ctx.Err() == nil {
		t.Error("still running after a signal")
	}
	late, cancel2 := s.Context(context.Background())
	defer cancel2()
	if late.Err() == nil {
		t.Error("a context made while a signal is pending must be ended")
	}
}

func TestLines(t *testing.T) {
	for _, tt := range []struct {
		stop        engine.Stop
		line, state string
	}{
		{engine.Stop{Signal: engine.USR1, Source: engine.Soft, Reason: "ping-restart"}, "SIGUSR1[soft,ping-restart] received, process restarting", "ping-restart"},
		{engine.Stop{Signal: engine.TERM}, "SIGTERM[hard,] received, process exiting", "SIGTERM"},
		{engine.Stop{Signal: engine.USR1, Source: engine.ConnectionFailed, Reason: "connection-failed"}, "SIGUSR1[connection failed(soft),connection-failed] received, process restarting", "connection-failed"},
	} {
		if got := tt.stop.Line("process"); got != tt.line {
			t.Errorf("line = %q, want %q", got, tt.line)
		}
		if got := tt.stop.StateReason(); got != tt.state {
			t.Errorf("state reason = %q, want %q", got, tt.state)
		}
	}
}
