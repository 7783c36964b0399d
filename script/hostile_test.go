package script_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/script"
)

// However long the texts are that a script hands over, what is made of them is bounded; and an error about them is a line that a person reads.
func TestLongTexts(t *testing.T) {
	const long = `local s, list, map = ("x"):rep(2e6), {}, {} for i = 1, 40 do list[i] = s map["k" .. i] = s end `
	for src, want := range map[string]string{
		`moongate.send(list)`:                    "too long: at most 1048576 bytes together",
		`moongate.send("client-auth 1 1", list)`: "too long: at most 1048576 bytes together",
		`moongate.send(s)`:                       "too long: at most 1048576 bytes together",
		`moongate.quote(s)`:                      "too long: at most 1048576 bytes together",
		`exec(list)`:                             "too long: at most 1048576 bytes together",
		`exec{"true", env = map}`:                "too long: at most 1048576 bytes together",
		`exec{[s] = 1}`:                          "unknown field " + strings.Repeat("x", 64) + "…)",
		`http.request{url = "http://127.0.0.1:1/" .. s:sub(2000)}`: "url: at most 8192 bytes",
		`http.request{url = "http://127.0.0.1:1/", headers = map}`: "too long: at most 65536 bytes together",
		`on(s, print)`:                         `unknown event "` + strings.Repeat("x", 64) + `…"`,
		`wait_for("log", {[s] = 1}, 1)`:        `an event has no field "` + strings.Repeat("x", 64) + `…"`,
		`require(s)`:                           "not a module name",
		`secret("cmd:" .. s:sub(5))`:           "a reference of at most 4096 bytes",
		`store.set(s, "")`:                     "a key of 1 to 1024 bytes",
		`store.set("k", s)`:                    "at most 1048576 bytes",
		`assert(otp.totp(s))`:                  "otp: the secret is longer than 1024 bytes",
		`assert(json.encode(map))`:             "json: value too large",
		`assert(json.encode(("\1"):rep(1e6)))`: "json: value too large",
		`assert(json.decode("[" .. ("0,"):rep(140000) .. "0]"))`: "json: a list of more than 131070 values",
		`error(s)`:                        strings.Repeat("x", 4000),
		`error(map)`:                      "k1 = " + strings.Repeat("x", 64) + "…",
		`local t t[s] = 1`:                "attempt to index nil, with key '" + strings.Repeat("x", 64) + "…'",
		`local t t.a.b = 1 return "\255"`: "attempt to index t, which is nil, with key 'a'",
		`local t return t["\255(["]`:      "attempt to index nil, with key '\xff(['",
		`local t return t["\n"]`:          "attempt to index nil, with key '\n'",
		`local tt, t = {}, nil return tt.aa and t.a or t.aa`: "with key 'aa'",
	} {
		_, _, err := run(t, &daemon{}, long+src, script.Options{Burst: maxBurst, Allow: allow(t, "exec,http,secret,store")})
		if err == nil || !strings.Contains(err.Error(), "t.lua:1: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %.300v, want %q", src, err, want)
		}
		if err != nil && len(err.Error()) > 5000 {
			t.Errorf("%s: an error of %d bytes", src, len(err.Error()))
		}
	}
	printed, logged, err := run(t, &daemon{}, `local s = ("x"):rep(8e6) print(s, s, s) log.warn(s, {[s] = s})`, script.Options{Burst: maxBurst})
	if err != nil || len(printed) != 1 || len(printed[0]) > 1<<20+10 || len(logged) > 64<<10 {
		t.Errorf("printed %d, logged %d bytes, %v", len(strings.Join(printed, "")), len(logged), err)
	}
}

// A server on a unix socket takes the place of what nobody serves any more, and of nothing else.
func TestSocketsOfOthersStay(t *testing.T) {
	dir := t.TempDir()
	file, dead, alive, free := filepath.Join(dir, "file"), filepath.Join(dir, "dead"), filepath.Join(dir, "alive"), filepath.Join(dir, "free")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dead, alive} {
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
		if err != nil {
			t.Fatal(err)
		}
		ln.SetUnlinkOnClose(path == alive)
		if path == dead {
			_ = ln.Close()
		} else {
			defer ln.Close()
		}
	}
	printed, _, err := run(t, &daemon{}, `
		for _, path in ipairs(moongate.args) do
			local h, err = http.serve(path, function() end)
			print(h and h.address or err)
		end
		moongate.stop()`, script.Options{Args: []string{file, dead, free, "127.0.0.1:1"}, Allow: allow(t, "http")})
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		printed = printed[:3] // who may have low ports is the machine's affair
	}
	check(t, "printed", printed, []string{"serve " + file + ": there is a file of that name, which is no socket", dead, free})
	if b, err := os.ReadFile(file); string(b) != "precious" {
		t.Errorf("the file: %q, %v", b, err)
	}
	for _, path := range []string{dead, free} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
}

// A script may have a handful of servers.
func TestServersAreBounded(t *testing.T) {
	printed, _, err := run(t, &daemon{}, `
		local all, why = {}, nil
		repeat all[#all + 1], why = http.serve("127.0.0.1:0", print) until why
		print(#all, why)
		all[1]:stop()
		print(type(http.serve("127.0.0.1:0", print)))
		moongate.stop()`, script.Options{Allow: allow(t, "http")})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "printed", printed, []string{"8\t8 servers of this script are open", "table"})
}

// An address belongs to one script: another is told which one has it, other programs' addresses are taken, and the versions of one script share theirs.
func TestAnAddressHasOneScript(t *testing.T) {
	dir := t.TempDir()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	first := script.AddressesOf(filepath.Join(dir, "first.lua"))
	for _, name := range []string{"127.0.0.1:64123", dir + "/sock"} {
		if shared, err := first.Take(name); shared || err != nil {
			t.Fatal(shared, err)
		}
		if shared, err := first.Take(name); !shared || err != nil {
			t.Errorf("the next version: %v, %v", shared, err)
		}
		first.Leave(name)
		defer first.Leave(name)
	}
	printed, _, err := run(t, &daemon{}, `
		for _, at in ipairs(moongate.args) do print(select(2, http.serve(at, print))) end
		local h = assert(http.serve("127.0.0.1:0", print))
		print((select(2, http.serve(h.address, print)):gsub("%d+%.%d+.*:%d+", "it")))
		h:stop()
		print((assert(http.serve(h.address, print)).address == h.address))
		moongate.stop()`, script.Options{
		Allow: allow(t, "http"), Args: []string{"127.0.0.1:64123", dir + "/./sock", other.Addr().String()},
	})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "printed", printed, []string{
		"serve 127.0.0.1:64123: the script " + dir + "/first.lua serves there",
		"serve " + dir + "/./sock: the script " + dir + "/first.lua serves there",
		"serve " + other.Addr().String() + ": address already in use",
		"serve it: this script serves there already", "true",
	})
}
