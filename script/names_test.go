package script_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/script"
	"github.com/moongate-vpn/moongate/script/lib"
	"github.com/moongate-vpn/moongate/script/meta"
)

func doubts(t *testing.T, src string) (all []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.lua")
	if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	found, err := script.Doubts(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range found {
		kind := "error"
		if d.Warning {
			kind = "warning"
		}
		all = append(all, fmt.Sprintf("%d %s %s", d.Line, kind, d.Text))
	}
	return all
}

// Misspelt names of events, their fields and methods are found wherever the event's name can be read; nothing else is doubted.
func TestNamesOfEvents(t *testing.T) {
	for src, want := range map[string]string{
		`moongate.on("client.conect", print)`:                                                                                 `1 error unknown event "client.conect"; did you mean client.connect?`,
		"\n\non('stat', function(ev) end)":                                                                                    `3 error unknown event "stat"; did you mean state?`,
		`local x = wait_for("hld", nil, 1)`:                                                                                   `1 error unknown event "hld"; did you mean hold?`,
		"on('state', function(ev)\n print(ev.nam)\nend)":                                                                      `2 error an event has no field "nam"; did you mean name?`,
		"on('state', function(ev)\n print(ev.cid)\nend)":                                                                      `2 warning state has no field "cid": it is nil here`,
		"on('hold', function(e)\n e:relase() e:release() end)":                                                                `2 error an event has no field "relase"; did you mean release?`,
		"on('*', function(ev) print(ev.cid, ev.naem) end)":                                                                    `1 error an event has no field "naem"; did you mean name?`,
		"local function f(ev)\n if ev.comon_name then ev:admit() end\nend\non('client.connect', f)":                           `2 error an event has no field "comon_name"; did you mean common_name?`,
		"function f(ev) return ev.kid, ev.seconds end on('hold', f) on('client.connect', f)":                                  ``,
		"function f(ev) return ev.virtual_adress end\nmoongate.on('client.address', f)":                                       `1 error an event has no field "virtual_adress"; did you mean virtual_address?`,
		"on('hold', function() local ev = wait_for('state', { nmae = 'X' }, 1)\n print(ev.detial) end)":                       `1 error an event has no field "nmae"; did you mean name?|2 error an event has no field "detial"; did you mean detail?`,
		"on('state', function(ev) for i = 1, 2 do if i then return function() return { a = -#ev.nme .. '' } end end end end)": `1 error an event has no field "nme"; did you mean name?`,

		"local on = print on('x', function(ev) return ev.y end)":                            ``,
		"function on() end on('x', function(ev) return ev.y end)":                           ``,
		"local moongate = {} moongate.on('x', print)":                                       ``,
		"on('state', function(ev) ev = { y = 1 } return ev.y end)":                          ``,
		"on('state', function(ev) local ev = { y = 1 } return ev.y end)":                    ``,
		"on('state', function(ev) return function(ev) return ev.y end end)":                 ``,
		"on('state', function(ev) for ev in pairs{} do print(ev.y) end return ev.name end)": ``,
		"on('client.connect', function(ev) return ev.env.whatever, ev.username end)":        ``,
		"local name = 'x' on(name, function(ev) return ev.y end)":                           ``,
		"local t = {} function t.f(ev) return ev.y end on('state', t.f)":                    ``,
		"#!/usr/bin/env moongate\nlocal x":                                                  ``,
	} {
		if got := strings.Join(doubts(t, src), "|"); got != want {
			t.Errorf("%s:\n got %s\nwant %s", src, got, want)
		}
	}
}

// The examples give no reason to doubt.
func TestExamplesHaveNoDoubts(t *testing.T) {
	files, err := filepath.Glob("../examples/lua/*.lua")
	if err != nil || len(files) < 28 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if found, err := script.Doubts(f); err != nil || len(found) > 0 {
			t.Errorf("%s: %v %v", f, found, err)
		}
	}
}

// The declarations say of each event which fields it has, and name events that there are.
func TestFieldsOfEvents(t *testing.T) {
	for event, want := range map[string][]string{
		"hold":             {"env", "event", "kind", "seconds", "text"},
		"client.bytecount": {"bytes_received", "bytes_sent", "cid", "env", "event", "kind", "text"},
		"client.address":   {"cid", "common_name", "env", "event", "kind", "primary", "text", "username", "virtual_address"},
		"up":               {"env", "event", "kind", "text"},
	} {
		if diff := cmp.Diff(want, meta.FieldsOf(event)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", event, diff)
		}
	}
	seen := make(map[string]bool)
	for _, event := range lib.EventNames() {
		for _, f := range meta.FieldsOf(event) {
			seen[f] = true
		}
	}
	for _, f := range meta.Fields() {
		if !seen[f] {
			t.Errorf("field %s is of no event that there is", f)
		}
	}
}

// A filter of wait_for with a field that no event has would never fit.
func TestFilterNamesFields(t *testing.T) {
	_, _, err := run(t, &daemon{}, `wait_for("state", { naem = "X" }, 0.1)`, script.Options{})
	if err == nil || !strings.Contains(err.Error(), `an event has no field "naem"; did you mean name?`) {
		t.Error(err)
	}
}
