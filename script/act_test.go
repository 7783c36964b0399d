package script_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/script"
)

// allow reads permissions.
func allow(t *testing.T, lists ...string) script.Allow {
	t.Helper()
	a, err := script.ParseAllow(lists...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Everything is closed, and the refusal names what would open it.
func TestActingIsClosed(t *testing.T) {
	dir := t.TempDir()
	for src, want := range map[string]string{
		`exec{"true"}`:                     "exec is not allowed: start the script with --allow exec",
		`http.request{url = "http://x/"}`:  "http.request is not allowed: start the script with --allow http",
		`http.serve("127.0.0.1:0", print)`: "http.serve is not allowed: start the script with --allow http",
		`env("HOME")`:                      "env is not allowed: start the script with --allow env",
		`secret("env:HOME")`:               "secret env:HOME is not allowed: start the script with --allow env",
		`secret("totp:pass:x")`:            "secret totp:pass:x is not allowed: start the script with --allow exec",
		`secret("file:/etc/shadow")`:       "secret file:/etc/shadow is not allowed: start the script with --allow secret",
		`secret("vault:x")`:                "bad argument #1 to secret (secret vault:x: want SOURCE:NAME",
		`store.get("x")`:                   "store is not allowed: start the script with --allow store",
		`file.write("` + dir + `/x", "")`:  "is not allowed: start the script with --allow write=" + dir,
		`file.append("` + dir + `/x", "")`: "is not allowed: start the script with --allow write=" + dir,
		`assert(file.read("/etc/passwd"))`: "reading /etc/passwd is not allowed: start the script with --allow read=/etc/passwd",
		`exec{"true", timeut = 1}`:         "exec is not allowed",
	} {
		_, _, err := run(t, &daemon{}, src, script.Options{})
		if err == nil || !strings.Contains(err.Error(), "t.lua:1: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", src, err, want)
		}
	}
	for _, bad := range []string{"fly", "exec=x", "read", "read=", "write", ""} {
		if bad == "read=" {
			continue // the working folder
		}
		if _, err := script.ParseAllow(bad); err == nil {
			t.Errorf("permission %q was accepted", bad)
		}
	}
}

func TestExec(t *testing.T) {
	begin := time.Now()
	printed, _, err := run(t, &daemon{}, `
		local r = exec{"sh", "-c", "cat; echo err >&2; echo $X; exit 3", stdin = "in\n", env = {X = "from env"}}
		print(r.code, r.stdout, r.stderr)
		print(exec{"no-such-program"})
		print(exec{"sh", "-c", "sleep 60 & sleep 60", timeout = 0.05})
		print(#exec{"sh", "-c", "yes | head -c 3000000"}.stdout)
		print(select(2, pcall(exec, {"true", timeut = 1})))
		print(select(2, pcall(exec, {})))
		print(exec{"sh", "-c", "echo $HOME"}.stdout == "\n")
		local function f(x) return x, "more" end
		print(exec{"sh", "-c", 'echo "$# $0"; cat', stdin = f("hush")}.stdout, #{"a", x = f(1)}, #{"a", ["x"] = f(1)}, #{"a", x = "b" .. f(1)}, #{f(1), x = f(1)}, #{"a", f(1)}, ({"a", x = f(1)}).x)
		print((function(...) return #{"a", x = ...}, #{"a", ...} end)(1, 2))
		local left = exec{"sh", "-c", "echo up; sleep 5 & exit 4"}
		print(left.code, left.stdout)
	`, script.Options{Allow: allow(t, "exec")})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "printed", printed, []string{
		"3\tin\nfrom env\n\terr\n", `nil	no-such-program: exec: "no-such-program": executable file not found in $PATH`, "nil\tsh: it took longer than 50ms",
		"1048576", "bad argument #1 to exec (unknown field timeut; did you mean timeout?)", "bad argument #1 to exec (no program)", "true",
		"0 sh\nhush\t1\t1\t1\t1\t3\t1", "1\t3", "4\tup\n",
	})
	if d := time.Since(begin); d > 8*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestHTTP(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			time.Sleep(300 * time.Millisecond)
		case "/close":
			panic(http.ErrAbortHandler)
		case "/half":
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "half")
		case "/long":
			fmt.Fprint(w, strings.Repeat("x", 2<<20))
		default:
			w.Header().Set("X-Seen", r.Method+" "+r.Header.Get("X-Mine"))
			w.WriteHeader(http.StatusTeapot)
			b := make([]byte, 4)
			n, _ := r.Body.Read(b)
			fmt.Fprintf(w, "got %s", b[:n])
		}
	}))
	defer web.Close()
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	defer tls.Close()
	tls.Config.ErrorLog = nil
	printed, _, err := run(t, &daemon{}, `
		local url, secure = moongate.args[1], moongate.args[2]
		local r = assert(http.request{url = url .. "/x", method = "post", headers = {["X-Mine"] = "yes"}, body = "body"})
		print(r.status, r.headers["x-seen"], r.body)
		print(select(2, http.request{url = url .. "/slow", timeout = 0.05}):match("no answer within 50ms$"))
		print(select(2, http.request{url = url .. "/long"}):match("longer than 1048576 bytes"))
		print(select(2, http.request{url = url .. "/close"}):match("[^/]*$"))
		print(select(2, http.request{url = url .. "/half"}):match("[^/]*$"))
		print(select(2, http.request{url = secure}):match("certificate"))
		print(select(2, http.request{url = "http://127.0.0.1:1/"}))
		print(select(2, pcall(http.request, {url = "ftp://x"})))
		local h = assert(http.serve("127.0.0.1:0", function(req)
			if req.path == "/fail" then error("bad luck") end
			sleep(0.01)
			return {status = 201, headers = {["X-A"] = "b"}, body = req.method .. " " .. req.path .. " " .. (req.query.q or "") .. " " .. req.body}
		end))
		local r = assert(http.request{url = "http://" .. h.address .. "/here?q=1", method = "PUT", body = "z"})
		print(r.status, r.headers["x-a"], r.body)
		print(http.request{url = "http://" .. h.address .. "/fail"}.status)
		h:stop()
		print(select(2, pcall(http.serve, "0.0.0.0:0", print)):match("want.*"))
	`, script.Options{Allow: allow(t, "http"), Args: []string{web.URL, tls.URL}})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "printed", printed, []string{
		"418\tPOST yes\tgot body", "no answer within 50ms", "longer than 1048576 bytes",
		"close: the other end closed the connection", "half: the connection broke off in the middle of an answer", "certificate", "http://127.0.0.1:1/: connection refused",
		`bad argument #1 to request (url "ftp://x": want http:// or https:// and a host)`, "201\tb\tPUT /here 1 z", "500",
		"want 127.0.0.1:PORT, [::1]:PORT or /SOCKET: put a proxy in front for others)",
	})
}

func TestFilesAndStore(t *testing.T) {
	dir := t.TempDir()
	src := `
		print(file.write("` + dir + `/a", "one"), file.write("` + dir + `/a", "two"), file.read("` + dir + `/a"))
		for i = 1, 5 do assert(file.append("` + dir + `/log", ("line %d\n"):format(i), {max_bytes = 15, keep = 2})) end
		print(pcall(file.write, "` + dir + `/../x", ""))
		print(store.set("a", "1"), store.set("b", "2", {ttl = 1}), store.get("a"), store.get("b"), store.get("c"))
		sleep(1.1)
		print(store.get("b"), table.concat(store.keys(), " "), store.delete("a"), store.get("a"))
		print(store.set("kept", "yes"))
	`
	o := script.Options{Allow: allow(t, "store="+dir+"/s.db,read="+dir, "write="+dir)}
	printed, _, err := run(t, &daemon{}, src, o)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "printed", printed[:2], []string{"true\ttrue\ttwo", "false\t" + strings.TrimPrefix(printed[1], "false\t")})
	if !strings.Contains(printed[1], "is not allowed") {
		t.Errorf("%q", printed[1])
	}
	check(t, "store", printed[2:], []string{"true\ttrue\t1\t2\tnil", "nil\ta\ttrue\tnil", "true"})
	for name, want := range map[string]string{"log": "line 5\n", "log.1": "line 3\nline 4\n", "log.2": "line 1\nline 2\n"} {
		if b, _ := os.ReadFile(filepath.Join(dir, name)); string(b) != want {
			t.Errorf("%s: %q, want %q", name, b, want)
		}
	}
	printed, _, err = run(t, &daemon{}, `print(store.get("kept"))`, o)
	if err != nil || printed[0] != "yes" {
		t.Errorf("after a restart: %q, %v", printed, err)
	}
	_, _, err = run(t, &daemon{}, `assert(store.get("x"))`, script.Options{Allow: allow(t, "store="+dir+"/none/s.db")})
	if err == nil || !strings.Contains(err.Error(), dir+"/none/s.db") {
		t.Errorf("error %v", err)
	}
}

// A secret shows nowhere: not printed, not logged, not in an error, not in the arguments of a program.
func TestSecretsStayHidden(t *testing.T) {
	t.Setenv("VPN_PASS", "hush-hush")
	printed, logged, err := run(t, &daemon{}, `
		local s = assert(secret("env:VPN_PASS"))
		print(s, #s, "x" .. s .. "y")
		log.warn("the secret is " .. s, {s = s})
		print(pcall(error, "no " .. s, 0))
		print(pcall(exec, {"echo", s}))
		print(exec{"wc", "-c", stdin = s}.stdout)
		print(secret("env:NOT_SET"))
		moongate.after(0, function() error("bad " .. s) end)
	`, script.Options{Allow: allow(t, "secret,exec")})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "printed", printed, []string{
		"[...]\t9\tx[...]y", "false\tno [...]", "false\tbad argument #1 to exec (a secret in an argument is seen by every user of the machine: use stdin or env)",
		"9\n", "nil\tsecret env:NOT_SET: the environment variable NOT_SET is not set",
	})
	if strings.Contains(logged, "hush") || !strings.Contains(logged, "the secret is [...]") || !strings.Contains(logged, "bad [...]") {
		t.Errorf("log: %s", logged)
	}
}

// A dry run does nothing outside either.
func TestDryRunActs(t *testing.T) {
	dir := t.TempDir()
	var told []string
	_, _, err := run(t, &daemon{}, `
		print(exec{"touch", "`+dir+`/x"}.code)
		http.request{url = "http://127.0.0.1:1/", method = "POST"}
		file.write("`+dir+`/a", "x") store.set("k", "v")
	`, script.Options{Allow: allow(t, "exec,http,store,write="+dir), DryRun: func(line string) { told = append(told, line) }})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "told", told, []string{`exec ["touch" "` + dir + `/x"]`, "http POST http://127.0.0.1:1/", "file.write " + dir + "/a, 1 bytes", "store.set k"})
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("%v were made", left)
	}
}

func TestVerbsAndObserve(t *testing.T) {
	d := &daemon{replies: map[string]string{
		"pid": "SUCCESS: pid=7\r\n", "verb": "SUCCESS: verb=4\r\n", "hold": "SUCCESS: hold=1\r\n", "load-stats": "SUCCESS: nclients=2,bytesin=3,bytesout=4\r\n",
		"version": "OpenVPN Version: X 1\r\nManagement Version: 5\r\nEND\r\n", "state": "1,CONNECTED,SUCCESS,10.8.0.2,192.0.2.1,1194,,\r\nEND\r\n",
		"status 3": "TITLE\tx\r\nHEADER\tCLIENT_LIST\tCommon Name\tReal Address\tVirtual Address\tVirtual IPv6 Address\tBytes Received\tBytes Sent\tConnected Since\tConnected Since (time_t)\tUsername\tClient ID\tPeer ID\tData Channel Cipher\r\nCLIENT_LIST\tlaptop\t192.0.2.7:1\t10.8.0.2\t\t1\t2\tx\t12\tUNDEF\t3\t0\tAES\r\nEND\r\n",
	}, after: map[string]string{"mute": ">REMOTE:vpn.example,1194,udp\r\n>PROXY:1,UDP,vpn.example\r\n>PK_SIGN:aGVsbG8=\r\n>NEED-CERTIFICATE:macosx\r\n"}}
	printed, logged, err := run(t, d, `
		print(pid(), verb(), hold(), load_stats().clients, version().management, state().name, clients()[1].common_name, clients()[1].cid)
		print(kill{cid = 3, reason = "HALT"}, kill{name = "laptop"}, kill{address = "192.0.2.7:1"}, signal("SIGUSR1"))
		print(select(2, pcall(function() kill{cd = 3} end)))
		print(send("pid"), select(2, pcall(function() return send("pid").txt end)))
		local seen
		observe("state", function(s) print("state", s.name) end)
		observe("clients", function(list) print("clients", #list) end)
		local n = 0
		local function done() n = n + 1 if n == 4 then stop() end end
		on("remote", function(ev) ev:modify("a b", 443) done() end)
		on("proxy", function(ev) ev:use("http", "p", 8080) done() end)
		on("sign", function(ev) ev:sign("hello") done() end)
		on("certificate.need", function(ev) print(pcall(ev.accept, ev)) ev:certificate("PEM\nEND PEM\n") done() end)
		send("mute")
	`, script.Options{})
	if err != nil || logged != "" {
		t.Fatalf("%v %s", err, logged)
	}
	check(t, "printed", printed, []string{
		"7\t4\ttrue\t2\t5\tCONNECTED\tlaptop\t3", "ok\tok\tok\tok", "t.lua:4: kill: unknown field cd; did you mean cid?",
		`pid=7	t.lua:5: a reply has no field "txt"; did you mean text?`, "state\tCONNECTED", "clients\t1", "false\tevent certificate.need is no remote",
	})
	sent := strings.Join(d.lines(), "|")
	for _, want := range []string{"client-kill 3 HALT", "kill laptop", "kill 192.0.2.7:1", `remote MOD "a b" 443`, "proxy HTTP p 8080", "pk-sig|aGVsbG8=|END", "certificate|PEM|END PEM|END"} {
		if !strings.Contains(sent, want) {
			t.Errorf("%q was not sent: %s", want, sent)
		}
	}
}

// Random texts come from the kernel: long enough, in hexadecimal, never twice.
func TestRandom(t *testing.T) {
	printed, _, err := run(t, &daemon{}, `
		local a, b = random(16), moongate.random(16)
		print(a ~= b, #a, #b, a:match("^%x+$") == a)
		for _, n in ipairs{ 0, 1025 } do print(select(2, pcall(function() return (random(n)) end))) end`, script.Options{})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "printed", printed, []string{"true	32	32	true", "t.lua:4: bad argument #1 to random (1 to 1024 bytes)", "t.lua:4: bad argument #1 to random (1 to 1024 bytes)"})
}

// Errors say what is not there.
func TestErrorsNameThings(t *testing.T) {
	for src, want := range map[string]string{
		"local client = {}\nprint(client.env.name)": "t.lua:2: attempt to index client.env, which is nil, with key 'name'",
		"local x = foo.bar":                         "t.lua:1: attempt to index foo, which is nil, with key 'bar'",
		"prnt('x')":                                 "t.lua:1: attempt to call prnt, which is no function",
		"string.foo('x', print)":                    "t.lua:1: attempt to call string.foo, which is no function",
		"local t = {}\nt:method()":                  "t.lua:2: attempt to call t:method, which is no function",
		"moongate.on('client.connct', print)":       `did you mean client.connect?`,
	} {
		_, _, err := run(t, &daemon{}, src, script.Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", src, err, want)
		}
	}
	d := &daemon{head: ">CLIENT:CONNECT,1,1\r\n>CLIENT:ENV,END\r\n"}
	_, logged, _ := run(t, d, `moongate.on("client.connect", function(ev) moongate.after(0.01, function() moongate.stop() end) print(ev.comon_name) end)`, script.Options{})
	if !strings.Contains(logged, `an event has no field \"comon_name\"; did you mean common_name?`) {
		t.Errorf("log %s", logged)
	}
}
