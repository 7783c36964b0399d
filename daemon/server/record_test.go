package server

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/journal"
)

type recorded struct {
	mu   sync.Mutex
	list []journal.Event
}

func (r *recorded) Record(e journal.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, e)
}

func (r *recorded) hooked(c hooks.Call, _ time.Duration, err error) {
	e := journal.Event{Kind: journal.KindHook, Text: c.Type, Verdict: journal.Done}
	if err != nil {
		e.Verdict = journal.Failed
	}
	r.Record(e)
}

func (r *recorded) kinds() (kinds []string, all []journal.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.list {
		kinds = append(kinds, strings.Join(strings.Fields(e.Kind+" "+e.Text+" "+e.Verdict), " "))
	}
	return kinds, slices.Clone(r.list)
}

// What a client does is recorded in its order, with who it is and without its password.
func TestClientsAreRecorded(t *testing.T) {
	for _, tt := range []struct {
		name   string
		verify string // body of the script that decides
		want   []string
	}{
		{"accepted and killed", "exit 0", []string{
			"hook user-pass-verify done", "login accepted", "hook client-connect done", "connect", "kill", "disconnect", "hook client-disconnect failed",
		}},
		{"refused", "echo CRV1:R:challenge > $auth_failed_reason_file; exit 1", []string{"hook user-pass-verify failed", "login refused"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inFakeTime(t, func(t *testing.T) {
				script := func(name, body string) string {
					path := filepath.Join(t.TempDir(), name)
					if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
						t.Fatal(err)
					}
					return path
				}
				r := newRig(t, inMemory, "--script-security", "2", "--auth-user-pass-optional", "--auth-user-pass-verify", script("verify", tt.verify), "via-file",
					"--client-connect", script("connect", "exit 0"), "--client-disconnect", script("disconnect", "exit 3"))
				rec := r.rec
				c, err := r.dial("", ctrlwrap.NewPlain())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(c.close)
				if err := c.begin(r.cert, ctrlwrap.NewPlain(), 0); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(tt.want[len(tt.want)-1], "refused") {
					c.play(5*time.Second, func() bool { return c.told("AUTH_FAILED") })
				} else {
					if !c.up(5 * time.Second) {
						t.Fatalf("not connected: %v, %q", c.failed, c.texts)
					}
					r.await("the client is killed", func() bool { return r.server.KillName("client1") > 0 })
				}
				r.await("everything is recorded", func() bool { k, _ := rec.kinds(); return len(k) >= len(tt.want) })
				kinds, all := rec.kinds()
				if !slices.Equal(kinds, tt.want) {
					t.Errorf("recorded %q, want %q", kinds, tt.want)
				}
				for _, e := range all {
					if e.Kind != journal.KindHook && (e.CID == nil || e.CN != "client1" || e.Address == "" || e.Port == 0) {
						t.Errorf("%s does not say who: %+v", e.Kind, e)
					}
					if e.Kind == journal.KindConnect && len(e.Tunnel) == 0 {
						t.Error("connect without an address")
					}
					if e.Kind == journal.KindDisconnect && (e.In == 0 || e.Out == 0 || e.Seconds <= 0 || e.Reason != endKilled) {
						t.Errorf("disconnect without traffic or reason: %+v", e)
					}
					b, err := json.Marshal(e)
					if err != nil || strings.Contains(string(b), "challenge") || strings.Contains(string(b), "secret") {
						t.Errorf("a secret is recorded: %s %v", b, err)
					}
				}
			})
		})
	}
}
