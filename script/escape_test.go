//go:build unix

package script_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/script"
)

// What a script may not reach it does not reach: by links, by pipes that hold it up, by modules, through secrets, by names and redirections of the web.
func TestNoWayOut(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{dir + "/sub/inner.lua": "return 'inner'", outside + "/evil.lua": "return 'outside'", outside + "/data": "outside"} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"link": outside + "/data", "evil.lua": outside + "/evil.lua", "away": outside, "proc": "/proc/self"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	}))
	defer web.Close()
	path := filepath.Join(dir, "t.lua")
	for src, want := range map[string]string{
		`assert(file.read("../x"))`:                                         "is not allowed: start the script with --allow read=",
		`assert(file.read("sub/../../x"))`:                                  "is not allowed: start the script with --allow read=",
		`assert(file.read("/proc/self/environ"))`:                           "is not allowed: start the script with --allow read=",
		`assert(file.read("link"))`:                                         "path escapes from parent",
		`assert(file.read("away/data"))`:                                    "path escapes from parent",
		`assert(file.lines("proc/environ"))`:                                "path escapes from parent",
		`assert(file.read("pipe"))`:                                         "not a regular file",
		`assert(file.read("sub"))`:                                          "not a regular file",
		`assert(file.read("pipe\0x"))`:                                      "invalid argument",
		`assert(file.write("away/new", "x"))`:                               "path escapes from parent",
		`assert(file.append("away/new", "x"))`:                              "path escapes from parent",
		`assert(file.append("pipe", "x"))`:                                  "append to pipe",
		`assert(file.append("link", "x"))`:                                  "path escapes from parent",
		`file.write("` + outside + `/new", "x")`:                            "is not allowed",
		`require "evil"`:                                                    "path escapes from parent",
		`require "away.evil"`:                                               "path escapes from parent",
		`require "..evil"`:                                                  "not a module name",
		`require "/etc/passwd"`:                                             "not a module name",
		`require ""`:                                                        "not a module name",
		`assert(require "sub.inner" == "inner") error("it is there")`:       "it is there",
		`secret("cmd:echo x")`:                                              "secret cmd:echo x is not allowed: start the script with --allow exec",
		`secret("totp:cmd:echo x")`:                                         "is not allowed: start the script with --allow exec",
		`assert(secret("systemd:../x"))`:                                    "CREDENTIALS_DIRECTORY",
		`exec{"true"}`:                                                      "exec is not allowed",
		`assert(http.request{url = "http://169.254.169.254/"})`:             "169.254.169.254 is link-local",
		`assert(http.request{url = "http://[fe80::1%25lo]/"})`:              "fe80::1 is link-local",
		`assert(http.request{url = "http://[::ffff:169.254.169.254]/"})`:    "169.254.169.254 is link-local",
		`assert(http.request{url = "http://[fd00:ec2::254]/"})`:             "fd00:ec2::254 is link-local",
		`assert(http.request{url = "WEB?to=http://169.254.169.254/"})`:      "169.254.169.254 is link-local",
		`assert(http.request{url = "WEB?to=file:///etc/passwd"})`:           "unsupported protocol scheme",
		`assert(http.request{url = "WEB?to=unix:///run/x"})`:                "unsupported protocol scheme",
		`assert(http.request{url = "file:///etc/passwd"})`:                  "want http:// or https:// and a host",
		`assert(http.request{url = "WEB", headers = {["A\r\nB"] = "x"}})`:   "invalid header field name",
		`assert(http.request{url = "WEB", method = "GET /x HTTP/1.1\r\n"})`: "invalid method",
		`http.serve("0.0.0.0:0", print)`:                                    "want 127.0.0.1:PORT",
		`http.serve("[::]:0", print)`:                                       "want 127.0.0.1:PORT",
		`http.serve("169.254.0.1:0", print)`:                                "want 127.0.0.1:PORT",
		`assert(io or os.execute or load or loadstring or dofile or loadfile or debug.getinfo or string.dump or package or newproxy)`: "assertion failed",
		`setfenv(0, {}) assert(rawget(getfenv(0), "io"))`:                                                       "",
		`assert(getmetatable(send("pid")) ~= "reply", "hidden")`:                                                "hidden",
		`for i = 1, 9 do after(0, function() exec{"cat"} end) end send("client-auth 1 1", {("\27"):rep(2^20)})`: "too long",
	} {
		src = strings.ReplaceAll(src, "WEB", web.URL+"/")
		if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		_, _, err := runFile(t, &daemon{}, path, script.Options{Allow: allow(t, "http,secret,read="+dir+",write="+dir)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", src, err, want)
		}
		if d := time.Since(begin); d > 20*time.Second {
			t.Errorf("%s: took %v", src, d)
		}
	}
	if got, err := os.ReadFile(outside + "/data"); string(got) != "outside" {
		t.Errorf("the file outside: %q, %v", got, err)
	}
	if _, err := os.Stat(outside + "/new"); err == nil {
		t.Error("there is a new file outside")
	}
}

// A folder of a configuration has keys in it: a script reads the files that it is allowed to, and modules.
func TestScriptsReadWhatIsNamed(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"server.key": "-----BEGIN PRIVATE KEY-----\nhush\n", "login": "hush", "keys/ca.key": "hush", "list.json": "[]", "data/list": "[]", "module.lua": "return 1"} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("server.key", filepath.Join(dir, "link.lua")); err != nil {
		t.Fatal(err)
	}
	const closed = "is not allowed: start the script with --allow read="
	for _, tt := range []struct{ allow, name, want string }{
		{"", "server.key", closed}, {"", "login", closed}, {"", "keys/ca.key", closed}, {"", "list.json", closed}, {"", "t.lua", closed}, {"", "module.lua", closed},
		{"read=DIR/list.json", "list.json", ""}, {"read=DIR/list.json", "DIR/list.json", ""}, {"read=DIR/list.json", "data/../list.json", ""},
		{"read=DIR/list.json", "server.key", closed}, {"read=DIR/list.json", "list.json/../server.key", closed}, {"read=DIR/list.json", "list.jso", closed},
		{"read=DIR/data", "data/list", ""}, {"read=DIR/data", "data/../login", closed}, {"read=DIR/data", "data", "not a regular file"},
		{"read=DIR/keys,read=DIR/data", "data/list", ""}, {"read=DIR/none", "none", "no such file"}, {"read=DIR", "login", ""},
		{"write=DIR", "login", closed}, {"store=DIR/s.db,exec,http,env,secret", "login", closed},
	} {
		var o script.Options
		if tt.allow != "" {
			o.Allow = allow(t, strings.ReplaceAll(tt.allow, "DIR", dir))
		}
		path := filepath.Join(dir, "t.lua")
		src := `assert(require "module" == 1) assert(file.read("` + strings.ReplaceAll(tt.name, "DIR", dir) + `")) assert(file.lines("` + strings.ReplaceAll(tt.name, "DIR", dir) + `"))`
		if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := runFile(t, &daemon{}, path, o)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("allow %q, read %s: error %v, want %q", tt.allow, tt.name, err, tt.want)
		}
	}
	// What is no Lua is not shown by the error of loading it.
	if err := os.WriteFile(filepath.Join(dir, "t.lua"), []byte(`require "link"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := runFile(t, &daemon{}, filepath.Join(dir, "t.lua"), script.Options{}); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("a key as a module: %v", err)
	}
}

// Texts that wait with programs, requests and commands are bounded together, in a process that does other things too.
func TestTextsOnTheirWay(t *testing.T) {
	for _, src := range []string{
		`exec{"sleep", "1", stdin = s .. i}`, `http.request{url = "http://127.0.0.1:1/", body = s .. i}`, `send("client-auth 1 1", {s:sub(1, 1e6) .. i})`,
	} {
		_, logged, err := run(t, &daemon{}, `local s = ("x"):rep(7e6) for i = 1, 40 do after(0, function() `+src+` end) end after(0.5, function() stop() end)`,
			script.Options{Burst: maxBurst, Allow: allow(t, "exec,http"), Memory: 512 << 20})
		if err != nil || !strings.Contains(logged, "too much is under way: ") {
			t.Errorf("%s: %v, logged %.300s", src, err, logged)
		}
	}
}
