package server

import (
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
)

// A census counts who is there, by what they are, and handshakes that failed.
func TestCensus(t *testing.T) {
	inFakeTime(t, testCensus)
}

func testCensus(t *testing.T) {
	r := newRig(t, inMemory)
	c, err := r.dial("", ctrlwrap.NewPlain())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	if err := c.begin(r.cert, ctrlwrap.NewPlain(), 0); err != nil {
		t.Fatal(err)
	}
	if !c.up(5 * time.Second) {
		t.Fatalf("not connected: %v, %q", c.failed, c.texts)
	}
	r.await("the client is counted", func() bool { return r.server.Census(false).Clients == 1 })
	n := r.server.Census(true)
	if !n.Ready || n.MaxClients == 0 || n.MostHooks == 0 || n.Handshaking != 0 || n.Names["client1"].In == 0 || n.Names["client1"].Out == 0 {
		t.Errorf("census %+v", n)
	}
	for what, counts := range map[string]map[string]int{"versions": n.Versions, "platforms": n.Platforms, "ciphers": n.Ciphers} {
		sum := 0
		for _, one := range counts {
			sum += one
		}
		if sum != 1 {
			t.Errorf("%s: %v, want one client", what, counts)
		}
	}
	if got := r.server.total.Handshakes.Load(); got != 1 {
		t.Errorf("%d handshakes", got)
	}
	if n := r.server.Census(false); n.Names != nil {
		t.Errorf("names, though nobody asked: %v", n.Names)
	}
	silent, err := r.dial("", ctrlwrap.NewPlain())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(silent.close)
	if err := silent.begin(r.cert, ctrlwrap.NewPlain(), 0); err != nil { // and says no more: the hand-window of the rig is 4 seconds
		t.Fatal(err)
	}
	silent.play(500*time.Millisecond, func() bool { return r.server.Census(false).Handshaking == 1 })
	r.await("the failure is counted", func() bool { return r.server.total.Failed.Timeout.Load()+r.server.total.Failed.TLS.Load() == 1 })
	r.stop()
	if n := r.server.Census(true); n.Ready || n.Clients != 0 {
		t.Errorf("after the end: %+v", n)
	}
}

// What peers say becomes one of a few labels.
func TestLabelsOfPeers(t *testing.T) {
	for in, want := range map[string]string{
		"": "unknown", "2.6.14": "2.6", "2.7_alpha1": "2.7", "2.5": "2.5", "2.60": "other", "3.git:released:662eae9a": "3", "3.8.1": "3", "x": "other", "2": "other",
	} {
		if got := versionLabel(in); got != want {
			t.Errorf("version %q is %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"": "unknown", "linux": "linux", "win": "win", "LINUX": "other", "linux\n": "other"} {
		if got := platformLabel(in); got != want {
			t.Errorf("platform %q is %q, want %q", in, got, want)
		}
	}
}
