package sandbox

import (
	"strings"
	"testing"
)

// Texts are numbers where Lua 5.1 takes them as such, and long ones nowhere.
func TestTextsAsNumbers(t *testing.T) {
	long := `("0"):rep(5000)`
	for _, tt := range []struct{ expr, want, err string }{
		{expr: `"10" + 1`, want: "11"},
		{expr: `1 - " 0x10 "`, want: "-15"},
		{expr: `"3" * "4"`, want: "12"},
		{expr: `"1e2" / 4`, want: "25"},
		{expr: `"-7" % 3`, want: "2"},
		{expr: `7 % "-3"`, want: "-2"},
		{expr: `"2" ^ 3`, want: "8"},
		{expr: `-"5"`, want: "-5"},
		{expr: `math.max("3", 12)`, want: "12"},
		{expr: `("%d"):format("12")`, want: "12"},
		{expr: `"1" + setmetatable({}, {__add = function(a, b) return "table" end})`, want: "table"},
		{expr: `setmetatable({}, {__sub = function(a, b) return b end}) - "1"`, want: "1"},
		{expr: `"x" + 1`, err: "cannot perform add operation between string and number"},
		{expr: `{} .. "1"`, err: "attempt to concatenate a table value"},
		{expr: `"1" * {}`, err: "cannot perform mul operation between string and table"},
		{expr: `nil / "1"`, err: "cannot perform div operation between nil and string"},
		{expr: `"" % 1`, err: "cannot perform mod operation"},
		{expr: long + ` + 1`, err: "cannot perform add operation between string and number"},
		{expr: `math.min(1, ` + long + `)`, err: "number expected, got a string of too many bytes"},
		{expr: `("%g"):format(` + long + `)`, err: "number expected, got a string of too many bytes"},
		{expr: `#("%s"):format(` + long + `)`, want: "5000"},
	} {
		s := NewState(Limits{})
		got, err := run(s, "return "+tt.expr)
		switch {
		case tt.err == "" && (err != nil || got != tt.want):
			t.Errorf("%s: %q, %v; want %q", tt.expr, got, err, tt.want)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%s: %q, %v; want the error %q", tt.expr, got, err, tt.err)
		}
		s.Close()
	}
}
