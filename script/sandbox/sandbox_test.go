package sandbox

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/pm"
)

// eval runs an expression list and returns it joined by "|".
func eval(t *testing.T, L *lua.LState, expr string) string {
	t.Helper()
	L.SetTop(0)
	if err := L.DoString("return " + expr); err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	var out []string
	for i := 1; i <= L.GetTop(); i++ {
		out = append(out, L.Get(i).String())
	}
	return strings.Join(out, "|")
}

func TestStringFunctions(t *testing.T) {
	L := NewState()
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
	L := NewState()
	defer L.Close()
	for _, pat := range []string{"[a", "%", "(a", "a)", "%1", "%b", "%f", "[%"} {
		if err := L.DoString(`return ("abc"):match(` + "[==[" + pat + "]==]" + `)`); err == nil {
			t.Errorf("pattern %q was accepted", pat)
		}
	}
}

// What gopher-lua's own functions do not survive ends here with an error, in bounded time.
func TestHostileScriptsEnd(t *testing.T) {
	for name, src := range map[string]string{
		"backtracking":   `return (("a"):rep(60)):find(("a?"):rep(60)..("a"):rep(60).."b")`,
		"lazy items":     `return (("a"):rep(3000)):match(".-.-.-.-.-.-b")`,
		"rep":            `return ("x"):rep(1e9)`,
		"rep rep":        `return ("x"):rep(1e6):rep(1e6)`,
		"gsub growth":    `return ("x"):rep(1e6):gsub("x", ("y"):rep(1000))`,
		"concat":         `local s, t = ("x"):rep(1e6), {} for i = 1, 100 do t[i] = s end return table.concat(t)`,
		"format width":   `return ("%999999999d"):format(1)`,
		"loop":           `while true do end`,
		"pcall loop":     `while true do pcall(function() while true do end end) end`,
		"coroutine loop": `return coroutine.wrap(function() while true do end end)()`,
		"recursion":      `local function f() return 1 + f() end return f()`,
		"unpack":         `return unpack({}, 1, 1e8)`,
	} {
		t.Run(name, func(t *testing.T) {
			L := NewState()
			defer L.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			L.SetContext(ctx)
			begin := time.Now()
			if err := L.DoString(src); err == nil {
				t.Error("it went through")
			}
			if d := time.Since(begin); d > 3*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
}

func TestLongGsubIsLinear(t *testing.T) {
	L := NewState()
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
		m, err := newMatcher(t.Context(), src, pat)
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
	L := NewState()
	defer L.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	L.SetContext(ctx)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	if err := L.DoString(`for i = 1, 20000 do local a, b = coroutine.wrap(coroutine.yield), coroutine.create(coroutine.yield) end`); err != nil {
		t.Fatal(err)
	}
	if after := heap(); after > before+2<<20 {
		t.Errorf("%d bytes are left", after-before)
	}
}
