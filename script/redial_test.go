package script_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/script"
)

// A lost session is dialed again: the script keeps its state, hears of both ends, and its streams are switched on anew.
func TestRedial(t *testing.T) {
	sessions := make(chan string, 16) // lines of both sessions
	session := func(first bool) *client.Client {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			there.Write([]byte(greeting))
			for in := bufio.NewReader(there); ; {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				sessions <- strings.TrimSpace(line)
				there.Write([]byte("SUCCESS: ok\r\n"))
				if first {
					return
				}
				there.Write([]byte(">STATE:1,CONNECTED,SUCCESS,,,,,\r\n"))
			}
		}()
		c, err := client.New(t.Context(), here, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	path := filepath.Join(t.TempDir(), "t.lua")
	os.WriteFile(path, []byte(`
		local n = 0
		moongate.on("connected", function() n = n + 1 print("connected", n) end)
		moongate.on("lost", function() print("lost") end)
		moongate.on("state", function(ev) print(ev.name) moongate.stop() end)`), 0o600)
	var printed []string
	c := session(true)
	defer c.Close()
	err := script.RunClient(t.Context(), c, path, script.Options{
		Print:  func(s string) { printed = append(printed, s) },
		Redial: func(context.Context) (*client.Client, error) { return session(false), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "printed", printed, []string{"connected\t1", "lost", "connected\t2", "CONNECTED"})
	check(t, "first session", <-sessions, "state on")
	check(t, "second session", <-sessions, "state on")
}

// A session that was lost is let go of: a script that outlives many daemons does not keep what served each of them.
func TestRedialKeepsNoLostSession(t *testing.T) {
	const sessions = 7
	var freed atomic.Int32
	dialed := 0
	dial := func(context.Context) (*client.Client, error) {
		if dialed++; dialed == sessions { // the first is ours, the last but one may still be in use
			for deadline := time.Now().Add(5 * time.Second); freed.Load() < sessions-3; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Errorf("%d of %d lost sessions are free", freed.Load(), sessions-3)
					break
				}
				runtime.GC()
			}
			return nil, context.Canceled
		}
		here, there := net.Pipe()
		go func() {
			there.Write([]byte(greeting))
			there.Close()
		}()
		c, err := client.New(t.Context(), here, client.Options{})
		if err == nil {
			runtime.AddCleanup(c, func(n *atomic.Int32) { n.Add(1) }, &freed)
		}
		return c, err
	}
	path := filepath.Join(t.TempDir(), "t.lua")
	os.WriteFile(path, []byte(`moongate.on("connected", function() end)`), 0o600)
	first, _ := dial(t.Context())
	err := script.RunClient(t.Context(), first, path, script.Options{Redial: dial})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	first.Close()
}
