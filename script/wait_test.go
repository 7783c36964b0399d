package script_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/script"
)

// Handlers wait without holding up those of other subjects; events about one subject stay in order.
func TestHandlersWait(t *testing.T) {
	connect := func(cid int) string {
		return fmt.Sprintf(">CLIENT:CONNECT,%d,1\r\n>CLIENT:ENV,common_name=c%d\r\n>CLIENT:ENV,END\r\n", cid, cid)
	}
	d := &daemon{head: connect(1) + ">CLIENT:ESTABLISHED,1\r\n>CLIENT:ENV,END\r\n" + connect(2) + ">CLIENT:ESTABLISHED,2\r\n>CLIENT:ENV,END\r\n"}
	printed, logged, err := run(t, d, `
		local n = 0
		moongate.on("client.connect", function(ev)
			if ev.cid == 1 then sleep(0.2) end
			print("connect", ev.cid)
		end)
		moongate.on("client.connect", function(ev) print("second handler", ev.cid) end)
		moongate.on("client.established", function(ev)
			print("established", ev.cid)
			n = n + 1
			if n == 2 then moongate.stop() end
		end)`, script.Options{})
	if err != nil || logged != "" {
		t.Errorf("error %v, log %s", err, logged)
	}
	check(t, "printed", printed, []string{
		"connect\t2", "second handler\t2", "established\t2", "connect\t1", "second handler\t1", "established\t1",
	})
}

// wait_for, pcall, coroutines and modules mix.
func TestWaitsInsideEverything(t *testing.T) {
	d := &daemon{after: map[string]string{
		"client-pending-auth 1 1 x 60": ">CLIENT:CR_RESPONSE,2,1,eA==\r\n>CLIENT:ENV,END\r\n>CLIENT:CR_RESPONSE,1,1,eQ==\r\n>CLIENT:ENV,END\r\n",
	}, head: ">CLIENT:CONNECT,1,1\r\n>CLIENT:ENV,END\r\n"}
	printed, logged, err := run(t, d, `
		local before = now()
		sleep(0.01)
		print("main", now() - before >= 0.01, pcall(sleep, 0.001))
		moongate.on("client.connect", function(ev)
			ev:pending("x", 60)
			local answer = wait_for("client.cr_response", {cid = ev.cid}, 10)
			print(base64.decode(answer.response))
			print(pcall(function() sleep(0.001) return send("pid").text end))
			print(pcall(function() sleep(0.001) error("late", 0) end))
			for text in coroutine.wrap(function()
				coroutine.yield(send("a").text)
				sleep(0.001)
				coroutine.yield("b")
			end) do print(text) end
			print(select(2, wait_for("notify", nil, 0.001)))
			print(select(2, pcall(table.sort, {1, 2, 3}, function(a, b) sleep(0) return a < b end)))
			print((select(2, pcall(sleep, 31)):gsub("the [%d.]+s", "the 30s"))) -- some of it is over
			print(select(2, pcall(sleep, -1)))
			print(select(2, pcall(wait_for, "client.conect", nil, 1)))
			moongate.stop()
		end)`, script.Options{})
	if err != nil || logged != "" {
		t.Errorf("error %v, log %s", err, logged)
	}
	check(t, "printed", printed, []string{
		"main\ttrue\ttrue", "y", "true\tok", "false\tlate", "ok", "b", "timeout",
		"t.lua:17: cannot wait inside a metamethod, an iterator of for, or a function that sort or gsub calls",
		"bad argument #1 to sleep (31s is longer than the 30s that are left to this handler; moongate.on(…, {timeout = …}) or --handler-timeout gives more)",
		"bad argument #1 to sleep (seconds must be a number from 0 on)",
		`bad argument #1 to wait_for (unknown event "client.conect"; did you mean client.connect?)`,
	})
}

// A handler whose time is over is ended where it waits, and the next event about its subject gets its turn.
func TestTimeOfAHandler(t *testing.T) {
	d := &daemon{head: ">INFOMSG:one\r\n>INFOMSG:two\r\n", replies: map[string]string{"pid": ""}}
	begin := time.Now()
	printed, logged, err := run(t, d, `
		moongate.on("infomsg", function(ev)
			if ev.message == "one" then
				pcall(function() send("pid") end)
				print("not reached")
			end
			print(ev.message)
			moongate.stop()
		end, {timeout = 0.1})`, script.Options{})
	if err != nil || !strings.Contains(logged, "handler took too long (100ms)") || !strings.Contains(logged, "line=4") {
		t.Errorf("error %v, log %s", err, logged)
	}
	check(t, "printed", printed, []string{"two"})
	if d := time.Since(begin); d > 3*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestStrict(t *testing.T) {
	src := `moongate.on("infomsg", function(ev) if ev.message == "stop" then moongate.stop() end error("bad luck") end)`
	d := func() *daemon { return &daemon{head: ">INFOMSG:one\r\n>INFOMSG:stop\r\n"} }
	if _, _, err := run(t, d(), src, script.Options{}); err != nil {
		t.Error(err)
	}
	_, _, err := run(t, d(), src, script.Options{Strict: true})
	var failed *script.FailedError
	if !errors.As(err, &failed) || failed.Errors != 1 || !strings.Contains(err.Error(), "t.lua:1: bad luck") {
		t.Errorf("error %v", err)
	}
}

// A dry run looks, and tells the rest.
func TestDryRun(t *testing.T) {
	var mu sync.Mutex
	var told []string
	d := &daemon{replies: map[string]string{"status 3": "END\r\n"}, head: ">PASSWORD:Need 'Auth' username/password\r\n>CLIENT:CONNECT,1,1\r\n>CLIENT:ENV,END\r\n"}
	_, _, err := run(t, d, `
		moongate.on("state", function() end)
		moongate.on("password.need", function(ev) ev:answer{username = "joe", password = "hush"} end)
		moongate.on("client.connect", function(ev)
			ev:admit{"push x"}
			send("signal SIGUSR1") send("hold") send("hold off") send("verb 4") send("status 3")
			moongate.stop()
		end)`, script.Options{DryRun: func(line string) { mu.Lock(); defer mu.Unlock(); told = append(told, line) }})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "sent", d.lines(), []string{"state on", "hold", "status 3"})
	slices.Sort(told)
	check(t, "told", told, []string{"client-auth 1 1 | push x", "hold off", "password Auth [...]", "signal SIGUSR1", "username Auth [...]", "verb 4"})
}

// What a script takes of memory ends the handler; what it keeps ends the script.
func TestMemory(t *testing.T) {
	d := func() *daemon { return &daemon{head: ">INFOMSG:one\r\n>INFOMSG:two\r\n"} }
	for _, alone := range []bool{true, false} {
		printed, logged, err := run(t, d(), `
			moongate.on("infomsg", function(ev)
				if ev.message == "two" then print("two") moongate.stop() end
				local hoard = {}
				while true do hoard[#hoard + 1] = ("x"):rep(1e5) .. #hoard end
			end)`, script.Options{Memory: 16 << 20, Burst: 10 * time.Second, Alone: alone})
		if err != nil || !strings.Contains(logged, "too much memory (16 MiB)") {
			t.Errorf("alone %v: error %v, log %s", alone, err, logged)
		}
		check(t, "printed", printed, []string{"two"})
		_, _, err = run(t, d(), `
			hoard = {}
			moongate.on("infomsg", function(ev)
				while true do hoard[#hoard + 1] = ("x"):rep(1e5) .. #hoard end
			end)`, script.Options{Memory: 16 << 20, Burst: 10 * time.Second, Alone: alone})
		if err == nil || !strings.Contains(err.Error(), "too much memory (16 MiB), and the script keeps it") {
			t.Errorf("alone %v: error %v", alone, err)
		}
	}
}
