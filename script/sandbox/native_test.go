package sandbox

import (
	"strings"
	"testing"
)

// Functions in Go are called by pcall, xpcall and coroutines as those in Lua are: results, errors and no results.
func TestFunctionsInGoAsBodies(t *testing.T) {
	for call, want := range map[string]string{
		`pcall(tostring, 1)`:                                     "true 1",
		`pcall(string.rep, "x", 3)`:                              "true xxx",
		`pcall(string.find, "abc", "b")`:                         "true 2 2",
		`pcall(select, 2, "a", nil, "c")`:                        "true nil c",
		`pcall(function() end)`:                                  "true",
		`pcall(rawset, {}, 1, 2)`:                                "true",
		`pcall(string.rep)`:                                      "false bad argument #1 (string expected, got nil)",
		`pcall(error, "x")`:                                      "false x",
		`pcall(error, "x", 0)`:                                   "false x",
		`pcall(pcall, tostring, 1)`:                              "true true 1",
		`pcall(pcall, error, "x")`:                               "true false x",
		`pcall(setmetatable({}, {__call = tostring}))`:           "true table",
		`xpcall(tostring, tostring)`:                             "false bad argument #1 (value expected)",
		`xpcall(math.huge, tostring)`:                            "false attempt to call a number value",
		`coroutine.resume(coroutine.create(tostring), 1)`:        "true 1",
		`coroutine.resume(coroutine.create(error), "x")`:         "false x",
		`coroutine.wrap(tostring)(1)`:                            "1",
		`coroutine.status(coroutine.create(tostring))`:           "suspended",
		`pcall(coroutine.wrap(string.rep), "x", 2)`:              "true xx",
		`pcall(coroutine.create, 1)`:                             "false bad argument #1 to create (function expected, got number)",
		`coroutine.resume(coroutine.create(coroutine.yield), 1)`: "true 1",
	} {
		s := NewState(Limits{})
		got, err := run(s, `local function words(...)
			local all = {...}
			for i = 1, select("#", ...) do all[i] = type(all[i]) == "table" and "table" or tostring(all[i]):gsub("^table: .*", "table") end
			return table.concat(all, " ")
		end
		return words(`+call+`)`)
		if got = strings.ReplaceAll(got, "t.lua:1: ", ""); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", call, got, err, want)
		}
		s.Close()
	}
}
