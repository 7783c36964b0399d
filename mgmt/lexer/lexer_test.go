package lexer_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/mgmt/lexer"
)

func TestSplit(t *testing.T) {
	long := strings.Repeat("a", 256)
	for _, tt := range []struct {
		name, in string
		want     []string
	}{
		{"empty", "", nil},
		{"blanks", " \t\r\n", nil},
		{"plain", "  remote host\t1194 ", []string{"remote", "host", "1194"}},
		{"comment", "# x", nil},
		{"semicolon", "  ; x", nil},
		{"comment after a parameter", "foo #bar", []string{"foo"}},
		{"comment sign inside", "foo#bar a;b", []string{"foo#bar", "a;b"}},
		{"escaped comment sign is one all the same", `a \#x`, []string{"a"}},
		{"quoted comment sign", `a "#x"`, []string{"a", "#x"}},
		{"double quotes", `a "b c" d`, []string{"a", "b c", "d"}},
		{"empty quotes count", `a "" ''`, []string{"a", "", ""}},
		{"single quotes", `a 'b "c\' d`, []string{"a", `b "c\`, "d"}},
		{"quotes inside are literal", `a"b it's`, []string{`a"b`, "it's"}},
		{"a closing quote ends the parameter", `"foo"bar "a"'b'`, []string{"foo", "bar", "a", "b"}},
		{"comment after a closing quote", `"x"#y`, []string{"x"}},
		{"escapes", `a\ b \\c "d\"e" \"f`, []string{"a b", `\c`, `d"e`, `"f`}},
		{"escaped blank between parameters", `\  a`, []string{"a"}},
		{"backslash at the end, alone", `pid \`, []string{"pid"}},
		{"escaped newline", "a\\\n", []string{"a\n"}},
		{"carriage return", "verb 3\r", []string{"verb", "3"}},
		{"longest", long, []string{long}},
		{"longest in quotes", `"` + long + `"`, []string{long}},
		{"sixteen", strings.Repeat("x ", 20) + `"never closed`, strings.Fields(strings.Repeat("x ", 16))},
		{"bytes above 127", "größe\x85 x", []string{"größe\x85", "x"}},
		{"NUL ends the text", "a b\x00c d", []string{"a", "b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := lexer.Split(tt.in, "f:1")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestSplitErrors(t *testing.T) {
	long := strings.Repeat("a", 257)
	for _, tt := range []struct {
		name, in string
		kind     lexer.Kind
		want     string
	}{
		{"backslash", `p\id`, lexer.ErrorBackslash, `Options warning: Bad backslash ('\') usage in TCP:0: remember that`},
		{"backslash in quotes", `"a\tb"`, lexer.ErrorBackslash, `Options warning: Bad backslash`},
		{"escaped single quote", `\'a'`, lexer.ErrorBackslash, `Options warning: Bad backslash`},
		{"double quote", `a "b`, lexer.ErrorDoubleQuote, `Options error: No closing quotation (") in TCP:0`},
		{"double quote, backslash", `a "b\`, lexer.ErrorDoubleQuote, `Options error: No closing quotation (") in TCP:0`},
		{"single quote", `a 'b`, lexer.ErrorSingleQuote, `Options error: No closing single quotation (') in TCP:0`},
		{"residual", `pid\`, lexer.ErrorResidual, `Options error: Residual parse state (2) in TCP:0`},
		{"too long", long, lexer.ErrorTooLong, `Options error: Parameter at TCP:0 is too long (256 chars max): ` + long[2:]},
		{"too long in quotes", `"` + long + `"`, lexer.ErrorTooLong, `Options error: Parameter at TCP:0 is too long (256 chars max): ` + long[2:]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := lexer.Split(tt.in, "TCP:0")
			var e *lexer.Error
			if !errors.As(err, &e) || e.Kind != tt.kind || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("Split = %q, %v; want %s", got, err, tt.want)
			}
		})
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"": `""`, "a": "a", "a b": `"a b"`, `c:\x`: `"c:\\x"`, `say "x"`: `"say \"x\""`, "#x": `"#x"`, ";": `";"`, "'a": `"'a"`,
		"it's": "it's", "a#b": "a#b", `"`: `"\""`,
	} {
		if got := lexer.Quote(in); got != want {
			t.Errorf("Quote(%q) = %s, want %s", in, got, want)
		}
	}
	if got, want := lexer.Join("password", "Private Key", "a b"), `password "Private Key" "a b"`; got != want {
		t.Errorf("Join = %s, want %s", got, want)
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{`remote "a b" 'c' \"x # y`, `a\ b`, `"`, `'`, `\`, "a\\\n", "x\x00y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		params, err := lexer.Split(s, "fuzz:1")
		if err != nil {
			return
		}
		if len(params) > lexer.MaxParams {
			t.Fatalf("%d parameters", len(params))
		}
		for _, p := range params {
			if len(p) > lexer.MaxLen {
				t.Fatalf("parameter of %d bytes", len(p))
			}
		}
		again, err := lexer.Split(lexer.Join(params...), "fuzz:1")
		if err != nil {
			t.Fatalf("Join(%q): %v", params, err)
		}
		if diff := cmp.Diff(params, again); diff != "" {
			t.Fatalf("-first +again:\n%s", diff)
		}
	})
}
