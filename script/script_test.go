package script_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/script"
)

var update = flag.Bool("update", false, "write the pages that are made from declarations")

// maxBurst is far above what any script of a test takes.
const maxBurst = 10 * time.Second

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const greeting = ">INFO:OpenVPN Management Interface Version 5 -- type 'help' for more info\r\n"

// daemon is a fake that sends head, answers each line with replies (or "SUCCESS: ok"), and records the lines.
type daemon struct {
	head    string
	replies map[string]string
	after   map[string]string // sent behind the reply to a command

	mu  sync.Mutex
	got []string
}

func (d *daemon) lines() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.got...)
}

// run executes src against d and returns what it printed and logged.
func run(t *testing.T, d *daemon, src string, o script.Options) (printed []string, logged string, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.lua")
	if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	return runFile(t, d, path, o)
}

func runFile(t *testing.T, d *daemon, path string, o script.Options) (printed []string, logged string, err error) {
	t.Helper()
	here, there := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer there.Close()
		there.Write([]byte(greeting + d.head))
		inBlock := false
		for in := bufio.NewReader(there); ; {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			line = strings.TrimSuffix(line, "\n")
			d.mu.Lock()
			d.got = append(d.got, line)
			d.mu.Unlock()
			reply, ok := d.replies[line]
			if inBlock = line != "END" && (inBlock || strings.HasPrefix(line, "client-auth ")); inBlock {
				continue // a block is answered at its end
			}
			if !ok {
				reply = "SUCCESS: ok\r\n"
			}
			there.Write([]byte(reply + d.after[line]))
		}
	}()
	defer func() { there.Close(); <-done }()
	var log bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	o.Print = func(s string) { printed = append(printed, s) }
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err = script.Run(ctx, here, path, o)
	return printed, log.String(), err
}

func check(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestEvents(t *testing.T) {
	d := &daemon{
		replies: map[string]string{"pid": "SUCCESS: pid=7\r\n", "kill x": "ERROR: common name 'x' not found\r\n",
			"status 3": "OpenVPN STATISTICS\r\nTUN/TAP read bytes,5\r\nEND\r\n", "state": "12,CONNECTED,SUCCESS,10.8.0.2,192.0.2.1,1194,,\r\nEND\r\n"},
		after: map[string]string{"state on": ">STATE:1795409407,CONNECTED,SUCCESS,10.8.7.2,10.99.7.1,17500,,\r\n" +
			">CLIENT:CONNECT,3,1\r\n>CLIENT:ENV,username=joe\r\n>CLIENT:ENV,x=a=b\r\n>CLIENT:ENV,END\r\n" +
			">CLIENT:ADDRESS,3,10.8.0.6,1\r\n>BYTECOUNT_CLI:3,10,20\r\n>NOTIFY:info,remote-exit,EXIT\r\n" +
			">PASSWORD:Verification Failed: 'Auth' ['CRV1:R,E:Om01u7:Y3Ix:Enter, please: PIN']\r\n",
			"mute": ">HOLD:Waiting for hold release:10\r\n"},
	}
	printed, logged, err := run(t, d, `
		local h = moongate.on("log", function() print("never") end)
		h:off()
		moongate.on("client.connect", function(ev)
			print(ev.event, ev.cid, ev.kid, ev.username, ev.env.x, ev.response)
			print(ev:admit{'push "route 10.0.0.0"'}.text, ev:deny("no", {client_reason = "go away"}).text)
		end)
		moongate.on("client.address", function(ev) print(ev.cid, ev.virtual_address, ev.primary) end)
		moongate.on("client.bytecount", function(ev) print(ev.cid, ev.bytes_received + ev.bytes_sent) moongate.send("mute") end)
		moongate.on("notify", function(ev) print(ev.severity, ev.type, ev.message) return false end)
		moongate.on("notify", function(ev) print("the first handler ended the row") end)
		moongate.on("password.failed", function(ev)
			print(ev.type, ev.crv1.state_id, ev.crv1.username, ev.crv1.text, ev.crv1.echo)
		end)
		moongate.on("hold", function(ev)
			print(ev.seconds, ev:release().text)
			print(moongate.send("pid").text, moongate.send{"kill", "x"})
			print(moongate.get_status().counters["TUN/TAP read bytes"], moongate.get_state().name)
			moongate.stop(7)
			print("not reached")
		end)
		moongate.on("state", function(ev) print(ev.time, ev.name, ev.detail, ev.tun_ipv4, ev.remote_port) end)
	`, script.Options{})
	var exit *script.ExitError
	if !errors.As(err, &exit) || exit.Code != 7 {
		t.Errorf("error %v, want code 7", err)
	}
	check(t, "printed", printed, []string{
		"1795409407\tCONNECTED\tSUCCESS\t10.8.7.2\t17500",
		"client.connect\t3\t1\tjoe\ta=b\tnil",
		"info\tremote-exit\tEXIT", // about something else: it waits for no reply
		"Auth\tOm01u7\tcr1\tEnter, please: PIN\ttrue",
		"ok\tok",
		"3\t10.8.0.6\ttrue", // about the same client: in order
		"3\t30",
		"10\tok",
		"pid=7\tnil\tcommon name 'x' not found",
		"5\tCONNECTED",
	})
	check(t, "logged", logged, "")
	check(t, "sent", d.lines(), []string{"log on", "bytecount 1", "state on", "client-auth 3 1", `push "route 10.0.0.0"`, "END",
		`client-deny 3 1 no "go away"`, "mute", "hold release", "pid", "kill x", "status 3", "state"})
}

func TestTimersAndNothingLeft(t *testing.T) {
	printed, _, err := run(t, &daemon{}, `
		local n = 0
		local tick
		tick = moongate.every(0.002, function() n = n + 1 print("tick", n) if n == 3 then tick:stop() end end)
		moongate.after(0, function() print("after") end)
		local never = moongate.after(60, function() end)
		never:stop()
	`, script.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(printed) != 4 || printed[3] != "tick\t3" {
		t.Errorf("%q", printed)
	}
}

// A timer that was stopped is gone: however many timeouts are set and not needed, there is room for the next, and the script
// does not stay for them.
func TestStoppedTimersAreGone(t *testing.T) {
	printed, _, err := run(t, &daemon{}, `
		local kept = moongate.after(0, function() print("kept") end)
		for i = 1, 20000 do
			local timeout = moongate.after(i % 100 + 1, function() print("stopped", i) end)
			timeout:stop()
			timeout:stop()
		end
	`, script.Options{Burst: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "printed", printed, []string{"kept"})
}

// A handler that was ended takes no coroutine along, whoever made it; one that does not end is ended inside a coroutine too.
func TestCoroutinesOutliveADeadline(t *testing.T) {
	d := &daemon{head: ">INFOMSG:one\r\n>INFOMSG:two\r\n>INFOMSG:three\r\n>INFOMSG:four\r\n"}
	printed, logged, err := run(t, d, `
		local function forever() while true do coroutine.yield("alive") end end
		local wrapped, made = coroutine.wrap(forever), coroutine.create(forever)
		moongate.on("infomsg", function(ev)
			if ev.message == "two" then coroutine.wrap(function() while true do end end)() end
			print(ev.message, wrapped(), select(2, coroutine.resume(made)))
			if ev.message == "four" then moongate.stop() end
		end)
		moongate.after(5, function() moongate.stop() end)`, script.Options{Burst: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "printed", printed, []string{"one\talive\talive", "three\talive\talive", "four\talive\talive"})
	if n := strings.Count(logged, "level=ERROR"); n != 1 || !strings.Contains(logged, "too much processor time") {
		t.Errorf("logged %q", logged)
	}
}

func TestErrorsCarryFileLineAndTrace(t *testing.T) {
	d := &daemon{head: ">INFOMSG:one\r\n>INFOMSG:two\r\n"}
	printed, logged, err := run(t, d, "local function deep(x)\n  return x.field.field\nend\n"+
		`moongate.on("infomsg", function(ev)
			if ev.message == "one" then deep({}) end
			print(ev.message)
			moongate.stop()
		end)`, script.Options{})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "the next event still runs", printed, []string{"two"})
	for _, want := range []string{"t.lua", "line=2", "event=infomsg", "trace=", "deep"} {
		if !strings.Contains(logged, want) {
			t.Errorf("log has no %q:\n%s", want, logged)
		}
	}
	for src, want := range map[string]string{
		"local x = nil\nx.y = 1": "t.lua:2: ",
		"x = = 1":                "t.lua:1: ",
		`moongate.on("nonsense", function() end)`:             `t.lua:1: bad argument #1 to on (unknown event "nonsense")`,
		`moongate.on("log", function() end, {intervall = 1})`: "unknown option intervall",
		`require "../etc/passwd"`:                             "not a module name",
		`require "missing"`:                                   "module missing not found",
		`error({})`:                                           "t.lua",
	} {
		_, _, err := run(t, &daemon{}, src, script.Options{})
		var e *script.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", src, err, want)
		}
	}
}

func TestDeadline(t *testing.T) {
	d := &daemon{head: ">INFOMSG:loop\r\n>INFOMSG:next\r\n"}
	begin := time.Now()
	printed, logged, err := run(t, d, `
		moongate.on("infomsg", function(ev)
			if ev.message == "loop" then while true do pcall(function() while true do end end) end end
			print(ev.message)
			moongate.stop()
		end)`, script.Options{Burst: 100 * time.Millisecond})
	if err != nil || !strings.Contains(logged, "too much processor time") {
		t.Errorf("error %v, log %s", err, logged)
	}
	check(t, "printed", printed, []string{"next"})
	if d := time.Since(begin); d > 3*time.Second {
		t.Errorf("took %v", d)
	}
	_, _, err = run(t, &daemon{}, `while true do end`, script.Options{Burst: 50 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "too much processor time") {
		t.Errorf("main chunk: %v", err)
	}
}

func TestACommandThatIsNeverAnswered(t *testing.T) {
	d := &daemon{replies: map[string]string{"pid": ""}}
	printed, _, err := run(t, d, `
		moongate.after(0, function() moongate.send("pid") print("not reached") end)
		moongate.after(0.01, function() print("next") end)`, script.Options{HandlerTimeout: 60 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "printed", printed, []string{"next"})
}

func TestModules(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "secret.txt"), []byte("one\ntwo\n"), 0o600)
	os.WriteFile(filepath.Join(dir, "util.lua"), []byte(`return {twice = function(x) return 2 * x end}`), 0o600)
	os.Symlink("/etc/passwd", filepath.Join(dir, "link"))
	main := filepath.Join(dir, "main.lua")
	os.WriteFile(main, []byte(`
		print(json.encode{1, "a", {b = true, c = json.null}}, json.encode{}, json.encode(1.5), json.encode("<\n"))
		print(json.decode('{"a": [1, 2.5, {"b": "x"}], "n": null}').a[3].b, json.decode("nul"), json.decode("1 2"))
		local t = {} t.t = t print(json.encode(t))
		print(base64.encode("hello"), base64.decode("aGVsbG8="), (base64.decode("%")))
		print(otp.totp("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", {time = 59, digits = 8}), otp.hotp("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", 1))
		print(otp.totp("not base32!"))
		print(file.read("secret.txt"), #file.lines("secret.txt"), (file.read("link")), (file.read("/etc/passwd")), (file.read("../x")))
		print(require("util").twice(4), require("util") == require("util"))
		print(moongate.quote('a "b"'), #moongate.args, moongate.args[1], moongate.now() > 1e9)
		log.info("hi", {a = 1})
	`), 0o600)
	printed, logged, err := runFile(t, &daemon{}, main, script.Options{Args: []string{"x"}, ReadDirs: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "printed", printed, []string{
		`[1,"a",{"b":true,"c":null}]` + "\t{}\t1.5\t" + `"<\n"`,
		"x\tnil\tnil\tjson: text after the value",
		"nil\tjson: nested too deep",
		"aGVsbG8=\thello\tnil",
		"94287082\t287082",
		"nil\totp: the secret is not base32",
		"one\ntwo\n\t2\tnil\tnil\tnil",
		"8\ttrue",
		`"a \"b\""` + "\t1\tx\ttrue",
	})
	if !strings.Contains(logged, "msg=hi") || !strings.Contains(logged, "a=1") {
		t.Errorf("log: %s", logged)
	}
}

func TestSessionEnds(t *testing.T) {
	here, there := net.Pipe()
	go func() {
		there.Write([]byte(greeting))
		there.Close()
	}()
	path := filepath.Join(t.TempDir(), "t.lua")
	os.WriteFile(path, []byte(`moongate.on("lost", function() print("lost") end)`), 0o600)
	var printed []string
	err := script.Run(t.Context(), here, path, script.Options{Print: func(s string) { printed = append(printed, s) }})
	if !errors.Is(err, client.ErrLost) {
		t.Errorf("error %v", err)
	}
	check(t, "printed", printed, []string{"lost"})
}

func TestExampleAnswerPasswords(t *testing.T) {
	dir := t.TempDir()
	src, err := os.ReadFile("../examples/lua/answer-passwords.lua")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "answer.lua")
	os.WriteFile(path, src, 0o600)
	os.WriteFile(filepath.Join(dir, "credentials.json"), []byte(`{"Auth": {"username": "joe", "password": "correct \"horse", "totp": "JBSWY3DPEHPK3PXP"},
		"Private Key": {"password": "battery staple"}}`), 0o600)
	for _, tt := range []struct{ name, head, want string }{
		{"plain", ">PASSWORD:Need 'Auth' username/password\r\n", `username Auth joe|password Auth "correct \"horse"`},
		{"key", ">PASSWORD:Need 'Private Key' password\r\n", `password "Private Key" "battery staple"`},
		{"static challenge", ">PASSWORD:Need 'Auth' username/password SC:1,PIN, please\r\n", `username Auth joe|password Auth SCRV1:Y29ycmVjdCAiaG9yc2U=:`},
		{"dynamic challenge", ">PASSWORD:Verification Failed: 'Auth' ['CRV1:R,E:Om01:Y3Ix:PIN']\r\n>PASSWORD:Need 'Auth' username/password\r\n",
			`username Auth cr1|password Auth CRV1::Om01::`},
		{"hold", ">HOLD:Waiting for hold release:0\r\n", "hold release"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := &daemon{head: tt.head}
			ctx, cancel := context.WithCancel(t.Context())
			go func() { // ends the run when all was said
				for ctx.Err() == nil && !strings.HasPrefix(strings.Join(d.lines(), "|"), tt.want) {
					time.Sleep(time.Millisecond)
				}
				cancel()
			}()
			err := runUntil(ctx, t, d, path)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			if got := strings.Join(d.lines(), "|"); !strings.HasPrefix(got, tt.want) {
				t.Errorf("sent %q, want %q", got, tt.want)
			}
		})
	}
}

func runUntil(ctx context.Context, t *testing.T, d *daemon, path string, args ...string) error {
	t.Helper()
	here, there := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		there.Write([]byte(greeting + d.head))
		for in := bufio.NewReader(there); ; {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			d.mu.Lock()
			d.got = append(d.got, strings.TrimSuffix(line, "\n"))
			d.mu.Unlock()
			there.Write([]byte("SUCCESS: ok\r\n"))
		}
	}()
	defer func() { there.Close(); <-done }()
	return script.Run(ctx, here, path, script.Options{ReadDirs: []string{filepath.Dir(path)}, Args: args})
}

func TestExampleNeedOK(t *testing.T) {
	d := &daemon{head: ">NEED-OK:Need 'token-insertion-request' confirmation MSG:Please insert X's token\r\n" +
		">NEED-OK:Need 'pkcs11-id-request' confirmation MSG:?\r\n"}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil && len(d.lines()) < 2 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if err := runUntil(ctx, t, d, "../examples/lua/needok.lua"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	check(t, "sent", d.lines(), []string{"needok token-insertion-request ok", "needok pkcs11-id-request cancel"})
}
