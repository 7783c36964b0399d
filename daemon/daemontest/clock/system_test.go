package clock

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	Follow()
	os.Exit(m.Run())
}

// A process that follows a clock sees it set, there and back, and its timers do not.
func TestFollow(t *testing.T) {
	s := Inherited()
	if s == nil {
		s = NewSystem(t)
		cmd := exec.Command(os.Args[0], "-test.run=^TestFollow$")
		cmd.Env = append(os.Environ(), s.Variable())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	start := time.Now()
	for _, step := range []time.Duration{time.Hour, -time.Hour, 20 * 365 * 24 * time.Hour, 0} {
		s.Set(t, step)
		now := time.Now()
		if got := now.Round(0).Sub(start.Round(0)) - now.Sub(start); got < step-time.Second/2 || got > step+time.Second/2 {
			t.Errorf("set by %v, the wall clock went by %v more than the other one", step, got)
		}
		since := time.Now()
		time.Sleep(5 * time.Millisecond)
		if d := time.Since(since); d > 5*time.Second {
			t.Errorf("5 ms took %v", d)
		}
	}
}
