package script_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/moongate-vpn/moongate/script"
)

// Any text is a script with doubts about its own lines, or an error; the parser of the library does not end the program.
func FuzzDoubts(f *testing.F) {
	f.Add("moongate.on('client.connect', function(ev) ev:admit() print(ev.nonsense) end)")
	f.Add("local function f(ev) return ev.cid end moongate.on(\"*\", f)\nfor i = 1, 2 do local x <const> = 1 end")
	f.Add("--[==[ ]==] x = [[\n]] goto done ::done::")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(dir, "fuzz.lua") // a worker of the fuzzer has a folder of its own
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := script.Doubts(path)
		var at *script.Error
		if err != nil && !errors.As(err, &at) {
			t.Fatalf("an error without a place: %v", err)
		}
		for _, d := range found {
			if d.Line < 1 || d.Text == "" {
				t.Fatalf("%+v", d)
			}
		}
	})
}
