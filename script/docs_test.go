package script_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/script"
	"github.com/moongate-vpn/moongate/script/meta"
)

// Every block of Lua in the guide and the README runs. One whose first line is a name, "-- admit.lua", is a file for the others of its page; tests
// among them run as they are.
func TestBlocksOfTheGuideRun(t *testing.T) {
	fence := regexp.MustCompile("(?ms)^```lua\n(.*?)^```$")
	blocks, tested := 0, 0
	for _, page := range []string{"../docs/lua.md", "../README.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		files := t.TempDir()
		for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
			blocks++
			if name, _, ok := strings.Cut(strings.TrimPrefix(m[1], "-- "), "\n"); ok && strings.HasSuffix(name, ".lua") {
				path := filepath.Join(files, name)
				if err := os.WriteFile(path, []byte(m[1]), 0o600); err != nil {
					t.Fatal(err)
				}
				if strings.HasSuffix(name, "_test.lua") {
					tested++
					results, err := script.Test(t.Context(), path, nil)
					if err != nil || len(results) != 1 || results[0].Failure != "" {
						t.Errorf("%s: %v %+v", name, err, results)
					}
				}
				continue
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "block.lua"), []byte(m[1]), 0o600); err != nil {
				t.Fatal(err)
			}
			test := `test("block", function()
				fake{ http = function() return { status = 200, headers = {}, body = "" } end, secret = function() return "hush" end,
				      exec = function() return { code = 0, stdout = "", stderr = "" } end }
				load("block.lua")
				for _, name in ipairs{ "client.connect", "client.established", "client.disconnect", "state", "hold" } do emit(name, { name = "CONNECTED", env = { common_name = "laptop" } }) end
				emit(">PASSWORD:Need 'Auth' username/password SC:1,Code?")
				emit(">NEED-OK:Need 'token' confirmation MSG:?")
				clock.advance(60)
			end)`
			if err := os.WriteFile(filepath.Join(dir, "b_test.lua"), []byte(test), 0o600); err != nil {
				t.Fatal(err)
			}
			results, err := script.Test(t.Context(), filepath.Join(dir, "b_test.lua"), nil)
			if err != nil || results[0].Failure != "" {
				t.Errorf("%s:\n%s\n%v %v", page, m[1], err, results)
			}
		}
	}
	if blocks < 3 || tested != 1 {
		t.Errorf("%d blocks, %d tests", blocks, tested)
	}
}

// The reference is what the declarations say: go test ./script -run Reference -update.
func TestReference(t *testing.T) {
	const page = "../docs/lua-reference.md"
	want := meta.Reference()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil { //nolint:gosec // a page
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil || string(got) != want {
		t.Errorf("%s is not what script/meta says: go test ./script -run Reference -update (%v)", page, err)
	}
	for _, name := range []string{"## moongate.on", "## Event:admit", "## http.request", "## store.set"} {
		if !strings.Contains(want, name) {
			t.Errorf("no %q", name)
		}
	}
}
