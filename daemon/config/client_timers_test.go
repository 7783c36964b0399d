package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The clocks of a client are its own where its configuration sets them, and a reload treats the others as their rows say.
func TestClientTimers(t *testing.T) {
	const server = "dev tun\ntopology subnet\nserver 10.8.0.0 255.255.255.0\nca x\ncert x\nkey x\ndh none\n"
	tested := 0
	for _, r := range timerRows() {
		if r.facts&inCCD == 0 || r.max == 0 || r.name == "ping-exit" { // ping-exit ends clients only
			continue
		}
		tested++
		t.Run(r.name, func(t *testing.T) {
			before, after := mustParse(t, server+r.name+" 100\n"), mustParse(t, server+r.name+" 50\n")
			reloaded := "50"
			switch r.facts & (atOnce | forNew) {
			case forNew:
				reloaded = "100"
			case 0:
				t.Fatal("the row does not say what a reload does with it")
			}
			for _, c := range []struct{ line, atLogin, afterReload string }{
				{"", "100", reloaded},
				{r.name + " 7\n", "7", "7"},
				{r.name + " 0\n", "0", "0"},
				{r.name + " 100\n", "100", "100"},
				{r.name + " 7\n" + r.name + " 8\n", "8", "8"},
			} {
				cc := before.NewClientConfig()
				if errs := before.ParseClientConfig(cc, "ccd", []byte(c.line)); len(errs) > 0 {
					t.Fatal(errs)
				}
				cc.Pin(before.Timers)
				for _, check := range []struct {
					when   string
					server *Options
					want   string
				}{{"at its login", before, c.atLogin}, {"after a reload", after, c.afterReload}} {
					want := mustParse(t, server+r.name+" "+check.want+"\n").Timers
					if diff := cmp.Diff(want, cc.Over(check.server.Timers)); diff != "" {
						t.Errorf("client with %q %s, -want +got:\n%s", strings.TrimSpace(c.line), check.when, diff)
					}
				}
			}
		})
	}
	if tested < 4 {
		t.Errorf("%d clocks tested", tested)
	}
}
