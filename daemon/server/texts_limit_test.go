package server

import (
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
)

// What a client's texts start has a limit of its own: answers are served only while a login waits for one, one at a time, and
// no flood of texts fills the log.
func TestTextsOfOneClientAreBounded(t *testing.T) {
	t.Parallel()
	const flood = 500
	for _, tt := range []struct {
		name     string
		step     bool // the port announces a further step
		deny     bool // and then refuses
		text     string
		runs     [2]int // of client-crresponse, from to
		notices  [2]int // CR_RESPONSE at the port
		maxLines int    // in the log
	}{
		{name: "answers that nobody asked for", text: "CR_RESPONSE,MTIz", maxLines: 40},
		{name: "answers to a step", step: true, text: "CR_RESPONSE,MTIz", runs: [2]int{1, peerNotices + 5}, notices: [2]int{1, peerNotices + 5}, maxLines: 60},
		{name: "answers after a refusal", step: true, deny: true, text: "CR_RESPONSE,MTIz", maxLines: 40},
		{name: "unknown texts", text: "NONSENSE " + strings.Repeat("x", 500), maxLines: 60},
		{name: "push requests", text: "PUSH_REQUEST", maxLines: 60},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inFakeTime(t, func(t *testing.T) {
				dir := t.TempDir()
				r := newRig(t, inMemory, "--management-client-auth", "--auth-user-pass-optional", "--management", dir+"/m.sock", "unix", "--script-security", "2")
				runs := dir + "/runs"
				cmd := r.script("cr.sh", "echo x >>"+runs)
				r.onHub(func(h *hub) {
					o := h.set.Options.Clone()
					o.ClientCRResponse = cmd
					set := *h.set
					set.Options = o
					h.set = &set
				})
				c, err := r.dial("", ctrlwrap.NewPlain())
				if err != nil {
					t.Fatal(err)
				}
				defer c.close()
				if !c.play(5*time.Second, func() bool { return c.active[0] && r.port.count("connect") == 1 }) {
					t.Fatalf("no login: %v", c.failed)
				}
				if tt.step {
					if !r.server.ClientPending(0, 1, "CR_TEXT:R,E:Code", 30*time.Second) {
						t.Fatal("the step was not announced")
					}
				}
				if tt.deny {
					r.server.ClientDeny(0, 1, "no", "")()
				}
				from := len(r.log.String())
				for range flood {
					_ = c.session.SendText(tt.text)
					c.play(time.Millisecond, func() bool { return false })
				}
				c.play(300*time.Millisecond, func() bool { return false })
				got := strings.Count(string(readOr(runs)), "x")
				if got < tt.runs[0] || got > tt.runs[1] {
					t.Errorf("the script ran %d times, want %v", got, tt.runs)
				}
				if n := r.port.count("cr-response"); n < tt.notices[0] || n > tt.notices[1] {
					t.Errorf("the port heard of %d answers, want %v", n, tt.notices)
				}
				if lines := strings.Count(r.log.String()[from:], "\n"); lines > tt.maxLines {
					t.Errorf("%d lines in the log, want %d at most", lines, tt.maxLines)
				}
			})
		})
	}
}
