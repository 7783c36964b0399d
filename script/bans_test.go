package script_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/script"
)

// banned plays: a script bans, and these lines say what happens to clients then.
const statusOfThree = `"TITLE\tx\nHEADER\tCLIENT_LIST\tCommon Name\tReal Address\tVirtual Address\tVirtual IPv6 Address\tBytes Received\tBytes Sent\t` +
	`Connected Since\tConnected Since (time_t)\tUsername\tClient ID\tPeer ID\tData Channel Cipher\n` +
	`CLIENT_LIST\tjoe\t192.0.2.7:1\t10.8.0.2\t\t1\t2\tx\t12\tUNDEF\t7\t0\tAES\n` +
	`CLIENT_LIST\tann\t[2001:db8::7]:9\t10.8.0.3\t\t1\t2\tx\t12\tUNDEF\t8\t1\tAES\n` +
	`CLIENT_LIST\tUNDEF\tudp4:192.0.2.7:5\t10.8.0.4\t\t1\t2\tx\t12\tUNDEF\t9\t2\tAES\nEND"`

// kill with its ban, and without: what is sent, what is returned, and who is kept out.
func TestKillAndBan(t *testing.T) {
	for _, tt := range []struct{ name, call, sent, returns, then string }{
		{"a cid", `kill{cid = 7}`, `{"client-kill 7"}`, `"ok"`, ``},
		{"a name", `kill{name = "joe"}`, `{"kill joe"}`, `"ok"`, ``},
		{"an address and port", `kill{address = "192.0.2.7:1"}`, `{"kill 192.0.2.7:1"}`, `"ok"`, ``},
		{"a name with a reason", `kill{name = "joe", reason = "HALT,out"}`, `{"status 3", "client-kill 7 HALT,out"}`, `"1 client ended"`, ``},
		{"an IPv6 address", `kill{address = "2001:db8::7"}`, `{"status 3", "client-kill 8"}`, `"1 client ended"`, ``},
		{"all at an address", `kill{address = "192.0.2.7"}`, `{"status 3", "client-kill 7", "client-kill 9"}`, `"2 clients ended"`, ``},
		{"nobody of the name", `kill{name = "eve", reason = "x"}`, `{"status 3"}`, `nil, "no client has the name eve"`, ``},
		{"nobody at the address", `kill{address = "192.0.2.8"}`, `{"status 3"}`, `nil, "no client has the address 192.0.2.8"`, ``},
		{"a ban by cid", `kill{cid = 7, ban = 60, reason = "HALT,out"}`, `{"status 3", "client-kill 7 HALT,out"}`, `"banned, 1 client ended"`, `
			emit("client.connect", { cid = 20, kid = 3, env = { common_name = "joe" } })
			emit("client.reauth", { cid = 21, env = { common_name = "box", username = "joe" } })
			emit("client.established", { cid = 22, env = { common_name = "joe" } })
			expect_sent{ "client-deny 20 3 banned out", "client-deny 21 1 banned out", "client-kill 22 HALT,out" }
			emit("client.connect", { cid = 23, env = { common_name = "ann" } })
			expect_sent{ "client-auth-nt 23 1" }
			clock.advance(59)
			emit("client.connect", { cid = 24, env = { common_name = "joe" } })
			expect_sent{ "client-deny 24 1 banned out" }
			clock.advance(1)
			emit("client.connect", { cid = 25, env = { common_name = "joe" } })
			expect_sent{ "client-auth-nt 25 1" }`},
		{"a ban of an address", `kill{address = "[2001:db8:0::7]:9", ban = 60}`, `{"status 3", "client-kill 8"}`, `"banned, 1 client ended"`, `
			emit("client.connect", { cid = 20, env = { common_name = "x", untrusted_ip6 = "2001:db8::7" } })
			emit("client.established", { cid = 21, env = { common_name = "x", trusted_ip6 = "2001:db8::7" } })
			expect_sent{ "client-deny 20 1 banned", "client-kill 21" }
			emit("client.connect", { cid = 22, env = { common_name = "ann", untrusted_ip = "192.0.2.7" } })
			expect_sent{ "client-auth-nt 22 1" }`},
		{"a mapped address", `kill{address = "::ffff:192.0.2.9", ban = 60}`, `{"status 3"}`, `"banned, 0 clients ended"`, `
			emit("client.connect", { cid = 20, env = { untrusted_ip = "192.0.2.9" } })
			expect_sent{ "client-deny 20 1 banned" }`},
		{"a ban of who is not there", `kill{name = "eve", ban = 60}`, `{"status 3"}`, `"banned, 0 clients ended"`, `
			emit("client.disconnect", { cid = 20, env = { common_name = "eve" } })
			expect_sent{}
			emit("client.connect", { cid = 21, env = { common_name = "eve" } })
			expect_sent{ "client-deny 21 1 banned" }`},
		{"a cid that left", `kill{cid = 70, ban = 60}`, `{"status 3"}`, `nil, "no client has cid 70 now: ban it by name or address"`, ``},
		{"a client without a name", `kill{cid = 9, ban = 60}`, `{"status 3"}`, `nil, "client 9 has no name: ban its address"`, ``},
		{"no address", `kill{address = "nowhere", ban = 60}`, `{}`, `nil, "kill: nowhere is no address"`, ``},
		{"no time", `select(2, pcall(kill, {name = "joe", ban = 0}))`, `{}`, `"kill: ban must be seconds above 0"`, ``},
		{"two of them", `select(2, pcall(kill, {name = "joe", cid = 7}))`, `{}`, `"kill: want one of cid, name and address"`, ``},
		{"a misspelt field", `select(2, pcall(kill, {name = "joe", bann = 7}))`, `{}`, `"kill: unknown field bann; did you mean ban?"`, ``},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name, text string) {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("s.lua", `moongate.on("client.connect", function(ev) ev:admit() end)
				moongate.on("client.reauth", function(ev) ev:admit() end)
				moongate.on("hold", function() result = { `+tt.call+` } end)`)
			write("s_test.lua", fmt.Sprintf(`test("it", function()
				reply("status 3", %s)
				local env = load("s.lua")
				emit("hold")
				expect_sent%s
				expect(env.result, { %s })
				%s
			end)`, statusOfThree, tt.sent, tt.returns, tt.then))
			results, err := script.Test(t.Context(), filepath.Join(dir, "s_test.lua"), nil)
			if err != nil || len(results) != 1 || results[0].Failure != "" {
				t.Errorf("%v, %+v", err, results)
			}
		})
	}
}

// A ban is there for the next run where the store is allowed, and only there.
func TestBansOutliveTheScript(t *testing.T) {
	const text = `
		local n = 0
		moongate.on("client.connect", function(ev) n = n + 1 print("heard of", ev.common_name) if n == 1 then kill{name = "joe", ban = 3600} moongate.stop() end end)
		moongate.on("fatal", function() moongate.stop() end)
		`
	for _, allow := range []string{"store", "env"} {
		t.Run(allow, func(t *testing.T) {
			a, err := script.ParseAllow(allow)
			if err != nil {
				t.Fatal(err)
			}
			a.StoreFile = filepath.Join(t.TempDir(), "bans.db")
			connect := ">CLIENT:CONNECT,1,1\r\n>CLIENT:ENV,common_name=joe\r\n>CLIENT:ENV,END\r\n"
			d := &daemon{head: connect, replies: map[string]string{"status 3": "TITLE\tx\r\nEND\r\n"}}
			if printed, _, err := run(t, d, text, script.Options{Allow: a}); err != nil || len(printed) != 1 {
				t.Fatalf("%q, %v", printed, err)
			}
			again := strings.ReplaceAll(text, "n == 1", "false")
			d = &daemon{head: connect + ">FATAL:end\r\n", replies: map[string]string{"client-deny": "SUCCESS: client-deny command succeeded\r\n"}}
			printed, lines, err := run(t, d, again, script.Options{Allow: a})
			if err != nil {
				t.Fatal(err)
			}
			if held := len(printed) == 0; held != (allow == "store") {
				t.Errorf("with %s: %q, %q", allow, printed, lines)
			}
		})
	}
}

// A ban is lifted, and bans are listed, by this script or by another one with the same store.
func TestUnban(t *testing.T) {
	play := func(t *testing.T, text string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "s_test.lua")
		if err := os.WriteFile(path, []byte("test('it', function()\n"+text+"\nend)"), 0o600); err != nil {
			t.Fatal(err)
		}
		results, err := script.Test(t.Context(), path, nil)
		if err != nil || len(results) != 1 || results[0].Failure != "" {
			t.Errorf("%v %+v", err, results)
		}
	}
	play(t, `
		moongate.on("client.connect", function(ev) ev:admit() end)
		expect(#bans(), 0)
		kill{name = "joe", ban = 60}
		kill{address = "[2001:db8:0::7]:9", ban = 3600.5, reason = "HALT,out"}
		sent()
		expect(bans(), { { address = "2001:db8::7", seconds = 3600.5, reason = "HALT,out" }, { name = "joe", seconds = 60 } })
		expect(unban{name = "joe"}, "unbanned")
		expect({ unban{name = "joe"} }, { nil, "the name joe is not banned" })
		emit("client.connect", { cid = 20, env = { common_name = "joe" } })
		emit("client.connect", { cid = 21, env = { untrusted_ip6 = "2001:db8::7" } })
		expect_sent{ "client-auth-nt 20 1", "client-deny 21 1 banned out" }
		expect(unban(bans()[1]), "unbanned")
		emit("client.connect", { cid = 22, env = { untrusted_ip6 = "2001:db8::7" } })
		expect_sent{ "client-auth-nt 22 1" }
		expect(#bans(), 0)
		kill{name = "ann", ban = 60}
		clock.advance(60)
		expect({ unban{name = "ann"} }, { nil, "the name ann is not banned" })
		for what, why in pairs{ ["want a table"] = 1, ["want one of name and address"] = {}, ["unknown field cid"] = { cid = 7 } } do
			expect(select(2, pcall(unban, why)):find(what, 1, true) ~= nil, true, what)
		end`)
	// Another script with the same store lifts the ban of a running one.
	a := allow(t, "store")
	a.StoreFile = filepath.Join(t.TempDir(), "bans.db")
	const connect = ">CLIENT:CONNECT,1,1\r\n>CLIENT:ENV,common_name=joe\r\n>CLIENT:ENV,END\r\n"
	d := &daemon{replies: map[string]string{"status 3": "TITLE\tx\r\nEND\r\n"}, after: map[string]string{"pid": connect, "verb": connect}}
	type end struct {
		printed []string
		err     error
	}
	done := make(chan end, 1)
	go func() {
		printed, _, err := run(t, d, `
			moongate.on("client.connect", function(ev) print("heard of " .. ev.common_name) moongate.stop() end)
			assert(kill{name = "joe", ban = 3600})
			send("pid")
			print("banned")
			while #bans() > 0 do sleep(0.02) end
			send("verb")`, script.Options{Allow: a})
		done <- end{printed, err}
	}()
	for deadline := time.Now().Add(15 * time.Second); !slices.Contains(d.lines(), "client-deny 1 1 banned"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the ban is not in force: %q", d.lines())
		}
	}
	if _, _, err := run(t, &daemon{}, `assert(unban(bans()[1]))`, script.Options{Allow: a}); err != nil {
		t.Error(err)
	}
	e := <-done
	if e.err != nil {
		t.Error(e.err)
	}
	check(t, "printed", e.printed, []string{"banned", "heard of joe"})
}

// A script that has nothing to do lets go of its store: a new version of it can use it meanwhile.
func TestStoreIsSharedInTurns(t *testing.T) {
	a, err := script.ParseAllow("store")
	if err != nil {
		t.Fatal(err)
	}
	a.StoreFile = filepath.Join(t.TempDir(), "s.db")
	first := &daemon{head: ">FATAL:x\r\n"}
	done := make(chan error, 1)
	go func() {
		_, _, err := run(t, first, `
			moongate.on("fatal", function()
				assert(store.set("k", "2"))
				send("pid")
				for i = 1, 500 do
					sleep(0.02)
					if store.get("stop") then moongate.stop() end
				end
				error("the other one could not write")
			end)`, script.Options{Allow: a, Strict: true})
		done <- err
	}()
	for deadline := time.Now().Add(15 * time.Second); len(first.lines()) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the first script does not write")
		}
	}
	printed, _, err := run(t, &daemon{}, `print(store.get("k"), store.set("stop", "now"))`, script.Options{Allow: a})
	if err != nil || len(printed) != 1 || printed[0] != "2\ttrue" {
		t.Errorf("%q, %v", printed, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
