package script_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/script"
	"github.com/moongate-vpn/moongate/script/lib"
	"github.com/moongate-vpn/moongate/script/meta"
)

// Every function a script can call is declared in script/meta and in the guide, and nothing else is.
func TestDeclarationsMatchTheFunctions(t *testing.T) {
	d := &daemon{head: ">NEED-OK:Need 'x' confirmation MSG:y\r\n"}
	printed, _, err := run(t, d, `
		for _, m in ipairs{"moongate", "json", "base64", "otp", "log", "file", "http", "store"} do
			for name, v in pairs(_G[m]) do
				if type(v) == "function" then print(m .. "." .. name) end
			end
		end
		moongate.on("needok", function(ev)
			for _, name in ipairs{"answer", "ok", "cancel", "admit", "deny", "pending", "release", "accept", "skip", "modify", "use", "sign", "certificate"} do
				if type(ev[name]) == "function" then print("Event:" .. name) end
			end
			moongate.stop()
		end)`, script.Options{})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(printed)
	var declared []string
	for _, m := range regexp.MustCompile(`(?m)^function (\w+[.:]\w+)\(`).FindAllStringSubmatch(meta.Types, -1) {
		declared = append(declared, m[1])
	}
	slices.Sort(declared)
	if diff := cmp.Diff(printed, declared); diff != "" {
		t.Errorf("functions (-there +declared):\n%s", diff)
	}

	var events []string
	for _, m := range regexp.MustCompile(`(?m)^---\| '"([^"]+)"'`).FindAllStringSubmatch(meta.Types, -1) {
		events = append(events, m[1])
	}
	slices.Sort(events)
	want := append(lib.EventNames(), "*")
	slices.Sort(want)
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("events (-there +declared):\n%s", diff)
	}
}

// The declarations refuse to be loaded, as a script might try with require.
func TestDeclarationsCannotRun(t *testing.T) {
	_, _, err := run(t, &daemon{}, meta.Types, script.Options{})
	if err == nil || !strings.Contains(err.Error(), "language server") {
		t.Errorf("error %v", err)
	}
}
