package sandbox

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/pm"

	"github.com/moongate-vpn/moongate/script/sandbox/hostile"
)

// run runs source as the runtime does, and returns what it returned joined by "|".
func run(s *State, src string) (string, error) {
	chunk, err := Compile("t.lua", src)
	if err != nil {
		return "", err
	}
	fn, err := chunk.Load(s.LState)
	if err != nil {
		return "", err
	}
	s.Meter.Begin()
	state, err, values := s.Resume(s.NewWorker(), s.Worker(), fn)
	s.Meter.End()
	switch {
	case state == lua.ResumeError:
		return "", err
	case len(values) == 0 || values[0] != s.Done:
		return "", fmt.Errorf("it waits: %v", values)
	}
	var out []string
	for _, v := range values[1:] {
		out = append(out, v.String())
	}
	return strings.Join(out, "|"), nil
}

// eval runs an expression list and returns it joined by "|".
func eval(t *testing.T, s *State, expr string) string {
	t.Helper()
	got, err := run(s, "return "+expr)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return got
}

func TestStringFunctions(t *testing.T) {
	L := NewState(Limits{})
	defer L.Close()
	for expr, want := range map[string]string{
		`("hello world"):find("wor")`:                                       "7|9",
		`("hello world"):find("o", 6)`:                                      "8|8",
		`("a.b"):find(".", 1, true)`:                                        "2|2",
		`("hello"):find("xyz")`:                                             "nil",
		`("hello"):find("", 10)`:                                            "nil",
		`("hello"):find("", 6)`:                                             "6|5",
		`("key = value"):match("^(%w+)%s*=%s*(%w+)$")`:                      "key|value",
		`("hello"):match("()ll()")`:                                         "3|5",
		`("THE (quick) fox"):find("%((%a+)%)")`:                             "5|11|quick",
		`("f(a(b)c)d"):match("%b()")`:                                       "(a(b)c)",
		`("THE fox"):gsub("%f[%a]%a+", "X")`:                                "X X|2",
		`("abc"):gsub("%w", "%0%0")`:                                        "aabbcc|3",
		`("abc"):gsub("", "-")`:                                             "-a-b-c-|4",
		`("hello world"):gsub("o", {o="0"}, 1)`:                             "hell0 world|1",
		`("abc"):gsub("%w", function(c) if c=="b" then return "B" end end)`: "aBc|3",
		`("x=1, y=2"):gsub("(%w+)=(%w+)", "%2=%1")`:                         "1=x, 2=y|2",
		`("aaa"):match("a-b")`:                                              "nil",
		`("aab"):match("a-b")`:                                              "aab",
		`("abab"):match("(ab)%1")`:                                          "ab",
		`("]"):match("[]]")`:                                                "]",
		`("a-z"):match("[a%-z]+")`:                                          "a-z",
		`("  trim  "):gsub("^%s+", "")`:                                     "trim  |1",
		`("ab"):rep(3)`:                                                     "ababab",
		`("%d|%5.2f|%-4s|%q|%x|%%"):format(3, 1.5, "a", 'q"', 255)`:         `3| 1.50|a   |"q\""|ff|%`,
		`table.concat({1, "b", 3}, ",")`:                                    "1,b,3",
		`("x"):byte()`:                                                      "120",
		`type(os.time()), os.execute, io, debug.getinfo, load, require`:     "number|nil|nil|nil|nil|nil",
	} {
		if got := eval(t, L, expr); got != want {
			t.Errorf("%s = %s, want %s", expr, got, want)
		}
	}
	words := `(function() local t = {} for k, v in ("a=1,b=2"):gmatch("(%w)=(%w)") do t[#t+1] = k..v end return table.concat(t, " ") end)()`
	if got := eval(t, L, words); got != "a1 b2" {
		t.Errorf("gmatch: %s", got)
	}
}

func TestMalformedPatternsRaise(t *testing.T) {
	L := NewState(Limits{})
	defer L.Close()
	for _, pat := range []string{"[a", "%", "(a", "a)", "%1", "%b", "%f", "[%"} {
		if _, err := run(L, `return ("abc"):match(`+"[==["+pat+"]==]"+`)`); err == nil {
			t.Errorf("pattern %q was accepted", pat)
		}
	}
}

// heapPeak samples the heap while f runs.
func heapPeak(f func()) int64 {
	var h heap
	h.init(Limits{})
	runtime.GC()
	before, peak := h.inUse(), int64(0)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		var h heap
		h.init(Limits{})
		for {
			select {
			case <-stop:
				return
			default:
				peak = max(peak, h.inUse())
				time.Sleep(200 * time.Microsecond)
			}
		}
	}()
	f()
	close(stop)
	<-done
	return peak - before
}

// Every way of a script to take time or memory ends soon after its budget, with an error, and the state goes on.
func TestHostileScriptsEnd(t *testing.T) {
	for name, src := range hostile.Scripts {
		t.Run(name, func(t *testing.T) {
			const burst = 100 * time.Millisecond
			s := NewState(Limits{Burst: burst, Memory: 32 << 20})
			defer s.Close()
			begin := time.Now()
			var err error
			peak := heapPeak(func() { _, err = run(s, src) })
			if err == nil {
				t.Error("it went through")
			} else {
				t.Logf("%v: %v, %d MiB", time.Since(begin).Round(time.Millisecond), err, peak>>20)
			}
			if d := time.Since(begin); d > burst+3*time.Second { // on a busy machine; the soak test knows the figures of a quiet one
				t.Errorf("took %v", d)
			}
			if peak > 32<<20+32<<20 { // garbage included
				t.Errorf("took %d MiB", peak>>20)
			}
			s.SetGlobal("hoard", lua.LNil) // the runtime ends a script that keeps too much
			if got, err := run(s, "return 1 + 1"); got != "2" {
				t.Errorf("afterwards: %q, %v", got, err)
			}
			if s.Meter.Over() {
				t.Error("it still holds too much")
			}
		})
	}
}

// No instruction runs after a bound is broken: pcall does not catch that, whether a loop or a function in Go used the time up.
func TestNothingRunsAfterTheEnd(t *testing.T) {
	for _, work := range []string{
		`while true do end`,
		`while true do local x = ("x"):rep(1e6) end`,
		`local t = {} while true do t[#t + 1] = ("x"):rep(1e5) .. #t end`,
	} {
		for _, call := range []string{"pcall(function() %s end)", "xpcall(function() %s end, function() caught = 1 end)", "coroutine.resume(coroutine.create(function() %s end))"} {
			s := NewState(Limits{Burst: 20 * time.Millisecond, Memory: 8 << 20})
			_, err := run(s, fmt.Sprintf(call, work)+" caught = 2")
			if got := s.GetGlobal("caught"); err == nil || got != lua.LNil {
				t.Errorf("%s of %s: caught %v, error %v", call, work, got, err)
			}
			s.Close()
		}
	}
}

func TestLongGsubIsLinear(t *testing.T) {
	L := NewState(Limits{})
	defer L.Close()
	begin := time.Now()
	if got := eval(t, L, `#(("ab"):rep(512*1024):gsub("a", "xy"))`); got != "1572864" {
		t.Errorf("length %s", got)
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("1 MB took %v", d)
	}
}

// FuzzMatchAgainstPM compares our matcher with gopher-lua's on small inputs.
func FuzzMatchAgainstPM(f *testing.F) {
	for _, s := range []struct{ src, pat string }{
		{"hello world", "(%w+) (%w+)"}, {"aab", "a-b"}, {"f(a(b))", "%b()"}, {"x=1", "^(.-)=(.*)$"}, {"THE fox", "[A-Z]+"},
		{"abab", "(ab)%1"}, {"a]b", "[]%]]"}, {"", ""}, {"\x00a", "%z"}, {"a-", "[a-]"}, {"aXb", "%u?%l"},
	} {
		f.Add(s.src, s.pat)
	}
	f.Fuzz(func(t *testing.T, src, pat string) {
		if len(src) > 24 || len(pat) > 12 || strings.Contains(pat, "%f") {
			return // pm has no %f
		}
		if strings.Contains(pat, "[") && (strings.Count(pat, "-") > 1 || strings.Contains(pat, "-") && strings.Contains(pat, "%")) {
			return // pm reads sets such as [0--], [0-0-0] and [%0-0] otherwise than Lua 5.1
		}
		m, err := newMatcher(nil, src, pat)
		if err != nil {
			t.Fatal(err)
		}
		p := 0
		if strings.HasPrefix(pat, "^") {
			p = 1
		}
		gs, ge := -1, -1
		for s := 0; s <= len(src); s++ {
			e, err := m.match(s, p)
			if err != nil {
				return // pm is laxer about malformed patterns
			}
			if e >= 0 {
				gs, ge = s, e
				break
			}
			if p == 1 {
				break
			}
		}
		for i := range m.level {
			if gs >= 0 && m.caps[i].len == captureOpen {
				return // raised when the captures are read
			}
		}
		ms, err := func() (ms []*pm.MatchData, err error) {
			defer func() {
				if r := recover(); r != nil {
					ms, err = nil, context.Canceled
				}
			}()
			return pm.Find(pat, []byte(src), 0, 1)
		}()
		if err != nil {
			return
		}
		ws, we := -1, -1
		if len(ms) > 0 {
			ws, we = ms[0].Capture(0), ms[0].Capture(1)
		}
		if gs != ws || ge != we {
			t.Errorf("%q in %q: ours %d,%d pm %d,%d", pat, src, gs, ge, ws, we)
		}
		if gs < 0 {
			return
		}
		for i := range min(m.level, ms[0].CaptureLength()/2-1) {
			if m.caps[i].len == capturePosition {
				continue
			}
			if a, b := m.caps[i].start, m.caps[i].start+m.caps[i].len; a != ms[0].Capture(2+2*i) || b != ms[0].Capture(3+2*i) {
				t.Errorf("%q in %q: capture %d ours %d,%d pm %d,%d", pat, src, i+1, a, b, ms[0].Capture(2+2*i), ms[0].Capture(3+2*i))
			}
		}
	})
}

// A coroutine that nobody resumes to its end is collected.
func TestAbandonedCoroutinesAreCollected(t *testing.T) {
	L := NewState(Limits{})
	defer L.Close()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	if _, err := run(L, `for i = 1, 20000 do local a, b = coroutine.wrap(coroutine.yield), coroutine.create(coroutine.yield) end`); err != nil {
		t.Fatal(err)
	}
	if after := heap(); after > before+2<<20 {
		t.Errorf("%d bytes are left", after-before)
	}
}

// What the script does to its globals does not reach the functions of ours that are written in Lua.
func TestGlobalsBelongToTheScript(t *testing.T) {
	s := NewState(Limits{})
	defer s.Close()
	src := `type, error, pcall = 1, 2, nil return xpcall(coroutine.wrap(function() return xpcall(nil, tostring) end), tostring)`
	if got, err := run(s, src); got != "true|false|attempt to call a nil value" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

func TestRandom(t *testing.T) {
	a, b := NewState(Limits{}), NewState(Limits{})
	defer a.Close()
	defer b.Close()
	const three = `math.randomseed(7) return math.random(1e9), math.random(1e9), math.random()`
	first, err := run(a, three)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := run(b, `local x = math.random() `+three); again != first {
		t.Errorf("with one seed %s and %s", first, again)
	}
	for src, want := range map[string]string{
		`for i = 1, 1000 do local n = math.random(3) assert(n >= 1 and n <= 3 and n % 1 == 0) end return math.random(5, 5)`:    "5",
		`for i = 1, 1000 do local n = math.random(-2, 2) assert(n >= -2 and n <= 2) end return math.random(1)`:                 "1",
		`for i = 1, 1000 do local n = math.random() assert(n >= 0 and n < 1) end return type(math.random(-2^63, 2^63 - 1024))`: "number",
		`return select(2, pcall(math.random, 0))`:    "bad argument #1 (interval is empty)",
		`return select(2, pcall(math.random, 3, 2))`: "bad argument #2 (interval is empty)",
	} {
		if got, err := run(a, src); err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %s, %v, want %s", src, got, err, want)
		}
	}
}

func TestRewrittenOperators(t *testing.T) {
	s := NewState(Limits{})
	defer s.Close()
	chain := "'x'" + strings.Repeat(" .. 'x'", 1000)
	for expr, want := range map[string]string{
		`"a" .. 1 .. "b"`:                                 "a1b",
		`1 .. 2`:                                          "12",
		`1.5 .. "|" .. -0.25 .. "|" .. 1e20`:              "1.5|-0.25|1e+20",
		`"a" .. ("b"):rep(2) .. "c"`:                      "abbc",
		`#"abc", #{1, 2, 3}, -#"ab", not #""`:             "3|3|-2|false",
		`#(` + chain + `)`:                                "1001",
		`(function(...) return ... .. "x" end)("a", "b")`: "ax",
		`(function() return "a", "b" end)() .. "c"`:       "ac",
		`"c" .. (function() return "a", "b" end)()`:       "ca",
		`setmetatable({}, {__concat = function(a, b) return "m" end}) .. "x"`:             "m",
		`"x" .. "y" .. setmetatable({}, {__concat = function(a, b) return a .. "m" end})`: "xym",
		`#setmetatable({}, {__len = function() return 42 end})`:                           "42",
		`(function() local t = {} for k, v in pairs{a = 1} do t[1] = k .. v end for i, v in ipairs{5, 6} do
		   if i == 1 then goto continue end t[2] = i .. v ::continue:: end
		   for i in ("a b c"):gmatch("%a") do if i == "c" then break end local i = i .. i t[#t + 1] = i end
		   for i, v in next, {7} do return table.concat(t, ",") .. i .. v end end)()`: "a1,26,aa,bb17",
		`select("#", (function(...) return ... end)(1, nil, nil))`: "3",
	} {
		if got := eval(t, s, expr); got != want {
			t.Errorf("%s = %s, want %s", expr, got, want)
		}
	}
	for src, want := range map[string]string{
		"local t = {}\nreturn 'a' .. t": "t.lua:2: attempt to concatenate a table value",
		"local t\n\nlocal n = #t":       "t.lua:3: attempt to get length of a nil value",
		"x = 'a' .. nil":                "t.lua:1: attempt to concatenate a nil value",
		"for i = 1, 2e5 do hoard = hoard or {} hoard[#hoard + 1] = true end": "t.lua:1: list too long",
		"x = = 1":                  "t.lua line:1(column:",
		strings.Repeat("(", 30000): "t.lua:1: the source nests deeper",
		"return " + strings.Repeat("- ", 30000) + "1":                     "deeper",
		"return " + strings.Repeat("not ", 30000) + "1":                   "deeper",
		"return " + strings.Repeat("{", 3000) + strings.Repeat("}", 3000): "t.lua:1: the source nests deeper",
		strings.Repeat("do ", 30000) + strings.Repeat(" end", 30000):      "t.lua:1: the source nests deeper",
	} {
		if _, err := run(s, src); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: error %.200v, want %q", src, err, want)
		}
	}
}

func TestCoroutinesAndProtectedCalls(t *testing.T) {
	s := NewState(Limits{Burst: time.Second})
	defer s.Close()
	for src, want := range map[string]string{
		`local co = coroutine.create(function(a, b) local c, d = coroutine.yield(a + b) return c, d end)
		 local _, sum = coroutine.resume(co, 1, 2) return sum, coroutine.resume(co, "x")`: "3|true|x|nil",
		`local t = {} for v in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do t[#t + 1] = v end return table.concat(t)`: "123",
		`return pcall(function(a) error("no " .. a, 0) end, "luck")`:                                                                              "false|no luck",
		`return pcall(function(...) return ... end, 1, nil, 3)`:                                                                                   "true|1|nil|3",
		`return pcall(nil)`: "false|attempt to call a nil value",
		`return (pcall(nil)), (pcall(setmetatable({}, {__call = function() end})))`:                                   "false|true",
		`return xpcall(function() error({code = 7}) end, function(e) return e.code end)`:                              "false|7",
		`return select(2, pcall(function() local x = nil + 1 end))`:                                                   "t.lua:1: cannot perform add operation between nil and number",
		`local co = coroutine.wrap(function() pcall(coroutine.yield, 1) return 2 end) return co(), co()`:              "1|2",
		`local co = coroutine.create(function() error("x", 0) end) return coroutine.resume(co), coroutine.status(co)`: "false|dead",
		`return coroutine.running(), coroutine.wrap(function() return coroutine.resume(coroutine.running()) end)()`:   "nil|false|cannot resume a coroutine that is not suspended",
		`local a, b a = coroutine.wrap(function() return coroutine.resume(b) end)
		 b = coroutine.create(function() local c = coroutine.running() return coroutine.wrap(function() return coroutine.resume(c) end)() end)
		 return a()`: "true|false|cannot resume a coroutine that is not suspended",
	} {
		got, err := run(s, src)
		if err != nil || got != want {
			t.Errorf("%s\n  = %s, %v, want %s", src, got, err, want)
		}
	}
	for src, want := range map[string]string{
		`local t = setmetatable({}, {__index = function() return coroutine.yield() end}) return t.x`:    "cannot wait inside a metamethod",
		`local function f() return pcall(f) end return assert(select(2, f()))`:                          "",
		`local function deep() local ok, err = pcall(deep) if not ok then error(err, 0) end end deep()`: "nest deeper than 160 levels",
		`coroutine.wrap(function() error("t") end)()`:                                                   "t.lua:1: t",
	} {
		if _, err := run(s, src); err == nil && want != "" || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", src, err, want)
		}
	}
}
