package script_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/script"
)

// However a script floods a log that others share, a bounded part of it arrives, and a line says how much was left out.
func TestFloodsOfASharedLog(t *testing.T) {
	leftOut := regexp.MustCompile(`the script writes too much: (\d+) lines with \d+ bytes were left out`)
	for name, src := range map[string]string{
		"print":          `for i = 1, 5000 do print(i) end`,
		"print of bytes": `local s = ("x"):rep(2^16) for i = 1, 100 do print(s) end`,
		"log":            `for i = 1, 5000 do log.warn(i, { field = i }) end`,
		"log of fields":  `local s = ("x"):rep(2^13) for i = 1, 500 do log.warn("", { a = s, b = s }) end`,
		"errors":         `local n = 0 for i = 1, 3000 do after(0.001, function() n = n + 1 if n == 3000 then stop() end error("bad luck") end) end`,
		"both":           `for i = 1, 2500 do print(i) log.info(i) end`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			printed, logged, err := run(t, &daemon{}, src, script.Options{Burst: maxBurst, SharedLog: true})
			if err != nil {
				t.Fatal(err)
			}
			took := int(time.Since(begin).Seconds()) + 1 // a busy machine
			out := strings.Join(printed, "\n") + logged
			if n := strings.Count(out, "\n"); n > 1100+100*took || len(out) > 2<<20+took<<17 {
				t.Errorf("%d lines, %d bytes arrived in %d s", n, len(out), took)
			}
			if took > 10 {
				return // by then all of them may have come
			}
			if m := leftOut.FindStringSubmatch(logged); m == nil {
				t.Errorf("nothing says that lines were left out:\n%.300s", logged)
			} else if n, _ := strconv.Atoi(m[1]); n < 20 {
				t.Errorf("%d lines were left out", n)
			}
		})
	}
	printed, logged, err := run(t, &daemon{}, `for i = 1, 900 do print(i) end`, script.Options{SharedLog: true})
	if err != nil || len(printed) != 900 || logged != "" {
		t.Errorf("a talkative script: %d lines, %q, %v", len(printed), logged, err)
	}
	printed, _, err = run(t, &daemon{}, `for i = 1, 5000 do print(i) end`, script.Options{Burst: maxBurst})
	if err != nil || len(printed) != 5000 {
		t.Errorf("a log of its own: %d lines, %v", len(printed), err)
	}
}

// print and log show what a table holds: in order, bounded, and without secrets.
func TestTablesAreShown(t *testing.T) {
	t.Setenv("A_SECRET", `top "secret" word`)
	for src, want := range map[string]string{
		`print({})`:                                     `{}`,
		`print({1, "two", true})`:                       `{1, "two", true}`,
		`print({b = 1, a = {c = "x"}, 7})`:              `{7, a = {c = "x"}, b = 1}`,
		`print({["a b"] = 1, [2.5] = 2, [{}] = print})`: `{["a b"] = 1, [2.5] = 2, [{}] = function}`,
		`local t = {} t.t = t print(t)`:                 `{t = {t = {t = {t = {…}}}}}`,
		`print({1, nil, 3}, "text", nil)`:               "{1, nil, 3}\ttext\tnil",
		`print({"a\nb"})`:                               `{"a\nb"}`,
		`print({json.null})`:                            `{null}`,
		`print(json.null)`:                              `null`,
		`print({setmetatable({}, {__tostring = function() return "mine" end})})`: `{"mine"}`,
		`print(setmetatable({}, {__tostring = function() return "mine" end}))`:   `mine`,
		`print(send("pid"))`:       `ok`,
		`print({send("pid")})`:     `{"ok"}`,
		`print(exec{"echo", "x"})`: `{code = 0, stderr = "", stdout = "x\n"}`,
		`local s = secret("env:A_SECRET") print(s, {s, [s] = s, x = {s .. s}})`:      "[...]\t" + `{"[...]", ["[...]"] = "[...]", x = {"[...][...]"}}`,
		`local s = secret("env:A_SECRET") print({("x"):rep(1015) .. s})`:             `{"` + strings.Repeat("x", 1015) + `[...]…"}`,
		`local t = {} for i = 1, 200 do t[i] = 0 end print(t)`:                       `{` + strings.Repeat("0, ", 100) + `…}`,
		`local t = {} for i = 1, 200 do t["k" .. i] = 0 end print((select("#", t)))`: `1`,
	} {
		printed, _, err := run(t, &daemon{}, src, script.Options{Allow: allow(t, "exec,secret")})
		if err != nil || len(printed) != 1 || printed[0] != want {
			t.Errorf("%s: printed %q, %v, want %q", src, printed, err, want)
		}
	}
	for _, src := range []string{
		`local function deep(n) if n == 0 then return 1 end local t = {} for i = 1, 60 do t[i] = deep(n - 1) end return t end print(deep(3))`,
		`local t = {} for i = 1, 5000 do t[("k"):rep(50) .. i] = ("v"):rep(50) end print(t)`,
		`local t = {} for i = 1, 5000 do t[i] = ("v"):rep(500) end print(t)`,
	} {
		printed, _, err := run(t, &daemon{}, src, script.Options{Burst: maxBurst})
		if err != nil || len(printed) != 1 || len(printed[0]) > 16<<10 || !strings.Contains(printed[0], "…") {
			t.Errorf("%s: printed %.200q…, %v", src, printed, err)
		}
	}
	_, logged, err := run(t, &daemon{}, `log.info({a = 1}, {b = {c = 2}}) local s = secret("env:A_SECRET") error({message = ("x"):rep(4090) .. s})`,
		script.Options{Allow: allow(t, "secret")})
	if !strings.Contains(logged, `msg="{a = 1}"`) || !strings.Contains(logged, `b="{c = 2}"`) || err == nil || strings.Contains(err.Error(), "top") {
		t.Errorf("logged %s, %v", logged, err)
	}
}
