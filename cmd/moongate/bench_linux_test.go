package main

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/cmd/luahost"
	"github.com/moongate-vpn/moongate/daemon"
	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/mgmt"
)

// The figures of scripts, within the whole program: `make bench` prints them first.

const portGreeting = ">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info\r\n"

// startScript starts a script as the daemon does. play is the daemon's end of its session, and is called with the connection behind the greeting when
// the script handles events.
func startScript(b *testing.B, src string, inProcess bool, play func(in *bufio.Reader, out *bufio.Writer)) (run daemon.RunningScript, printed func() string) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "b.lua")
	if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
		b.Fatal(err)
	}
	var mu sync.Mutex
	var text strings.Builder
	begin := make(chan struct{})
	run, err := luahost.Host{}.Start(b.Context(), config.LuaScript{Path: path, InProcess: inProcess}, -1, -1, func(conn net.Conn) {
		fmt.Fprint(conn, portGreeting)
		<-begin
		in, out := bufio.NewReader(conn), bufio.NewWriterSize(conn, 32<<10)
		play(in, out)
		fmt.Fprint(out, ">FATAL:end\r\n")
		_ = out.Flush()
		_, _ = in.ReadByte()
	}, daemon.ScriptOutput{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Status: func(mgmt.ScriptStatus) {},
		Print: func(s string) { mu.Lock(); text.WriteString(s); mu.Unlock() },
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(run.Stop)
	if err := <-run.Ready(); err != nil {
		b.Fatal(err)
	}
	run.Begin(true)
	close(begin)
	return run, func() string { mu.Lock(); defer mu.Unlock(); return text.String() }
}

// end waits for the end of a script.
func end(b *testing.B, run daemon.RunningScript) {
	b.Helper()
	<-run.Done()
	if err := run.Err(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkScriptEvents measures events from the daemon's end of the line to the end of a trivial handler: the bounds are 200,000 a second within the
// daemon's process and 100,000 through a process of the script. The daemon sends a thousand at a time, and goes on when the script says that it has them.
func BenchmarkScriptEvents(b *testing.B) {
	const batch = 1000
	for name, inProcess := range map[string]bool{"in-process": true, "through-child": false} {
		b.Run(name, func(b *testing.B) {
			run, printed := startScript(b, `local n = 0
				moongate.on("notify", function(ev) if ev.type == "remote-exit" then n = n + 1 end end)
				moongate.on("infomsg", function() while n % 1000 ~= 0 do sleep(0.001) end moongate.send("pid") end)
				moongate.on("fatal", function() print(n) moongate.stop() end)`, inProcess, func(in *bufio.Reader, out *bufio.Writer) {
				for i := 0; i < b.N; i += batch {
					for j := range batch {
						fmt.Fprintf(out, ">NOTIFY:info,remote-exit,%d\r\n", i+j)
					}
					fmt.Fprint(out, ">INFOMSG:there?\r\n")
					_ = out.Flush()
					if _, err := in.ReadString('\n'); err != nil {
						return
					}
					fmt.Fprint(out, "SUCCESS: pid=1\r\n")
				}
			})
			end(b, run)
			n := (b.N + batch - 1) / batch * batch
			if got := printed(); got != strconv.Itoa(n) {
				b.Errorf("%s events of %d arrived", got, n)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkScriptAdmissions measures clients that a script in a process of its own admits, one after the other: the bound is 1,000 a second.
func BenchmarkScriptAdmissions(b *testing.B) {
	run, _ := startScript(b, `moongate.on("client.connect", function(ev)
			if ev.common_name == "laptop" then ev:admit{ 'push "route 10.0.0.0 255.0.0.0"' } else ev:deny("no") end
		end)
		moongate.on("fatal", function() moongate.stop() end)`, false, func(in *bufio.Reader, out *bufio.Writer) {
		for i := range b.N {
			fmt.Fprintf(out, ">CLIENT:CONNECT,%d,1\r\n>CLIENT:ENV,common_name=laptop\r\n>CLIENT:ENV,END\r\n", i)
			_ = out.Flush()
			for line := ""; line != "END\n"; {
				var err error
				if line, err = in.ReadString('\n'); err != nil {
					return
				}
			}
			fmt.Fprint(out, "SUCCESS: client-auth command succeeded\r\n")
		}
	})
	end(b, run)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "clients/s")
}

// BenchmarkScriptProcess starts processes with an idle script. It measures the time until the main chunk is proven (at most 30 ms) and the memory that is
// resident then (at most 25 MiB). own-MiB counts the memory that the process does not share with the daemon.
func BenchmarkScriptProcess(b *testing.B) {
	var resident, own float64
	for range b.N {
		run, _ := startScript(b, "moongate.every(60, function() end)", false, func(*bufio.Reader, *bufio.Writer) {})
		b.StopTimer()
		time.Sleep(100 * time.Millisecond) // it gives back what only its start needed
		resident, own = residentMiB(b)
		run.Stop()
		b.StartTimer()
	}
	b.ReportMetric(resident, "resident-MiB")
	b.ReportMetric(own, "own-MiB")
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/start")
}

// residentMiB is the memory of this process's script, and the part that it shares with nothing.
func residentMiB(b *testing.B) (resident, own float64) {
	b.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range found {
		text, _ := os.ReadFile(path)
		line, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		if !strings.HasPrefix(string(line), "moongate\x00lua-host") || !strings.Contains(string(text), fmt.Sprintf("\nPPid:\t%d\n", os.Getpid())) {
			continue
		}
		field := func(name string) float64 {
			_, rest, _ := strings.Cut(string(text), name+":")
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
		return field("VmRSS"), field("RssAnon")
	}
	b.Fatal("no process of a script")
	return 0, 0
}
