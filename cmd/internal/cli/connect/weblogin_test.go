package connect

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
)

// A server that sends one text after the other fills neither the screen nor the browser.
func TestManyTexts(t *testing.T) {
	dir := t.TempDir()
	opened := filepath.Join(dir, "opened")
	script := "#!/bin/sh\necho \"$1\" >>" + opened + "\n"
	if err := os.WriteFile(filepath.Join(dir, "xdg-open"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for _, text := range []string{"OPEN_URL:https://login.example.com/1", "WEB_AUTH::https://login.example.com/1", "CR_TEXT::hello"} {
		for _, browser := range []string{"open", "print"} {
			var shown bytes.Buffer
			screen := map[string]string{"DISPLAY": ":0"}
			s := newSession(&env.Env{Err: &shown, Getenv: func(name string) string { return screen[name] }}, Options{browser: browser, timeout: time.Hour})
			began := time.Now()
			for range 300 {
				if err := s.message(context.Background(), text); err != nil {
					t.Fatal(err)
				}
			}
			most := textsAtOnce + int(time.Since(began)/textPause)
			b, _ := os.ReadFile(opened)
			_ = os.Remove(opened)
			if n := strings.Count(string(b), "\n"); n > most {
				t.Errorf("%s, %s: %d pages were opened, at most %d should be", text, browser, n, most)
			}
			lines := shown.String()
			if n := strings.Count(lines, "login.example.com") + strings.Count(lines, "hello"); n == 0 || n > most {
				t.Errorf("%s, %s: %d texts were shown, at most %d should be", text, browser, n, most)
			}
			if n := strings.Count(lines, "left out"); n != 1 {
				t.Errorf("%s, %s: that some are left out is told %d times", text, browser, n)
			}
		}
	}
}

func TestTextsComeBack(t *testing.T) {
	x := newTexts()
	now := time.Now()
	for n := range textsAtOnce {
		if !x.AllowN(now, 1) {
			t.Fatalf("text %d is left out", n)
		}
	}
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{{0, false}, {textPause - 1, false}, {textPause, true}, {textPause, false}, {2*textPause - 1, false}, {2 * textPause, true}, {time.Hour, true}} {
		if got := x.AllowN(now.Add(tt.after), 1); got != tt.want {
			t.Errorf("after %v: %v", tt.after, got)
		}
	}
}
