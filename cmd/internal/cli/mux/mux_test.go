package mux

import (
	"bytes"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt"
)

// The command line of the unit is one that the command takes.
func TestUnit(t *testing.T) {
	unit, err := os.ReadFile("../../../../packaging/systemd/moongate-mux@.service")
	if err != nil {
		t.Fatal(err)
	}
	_, line, ok := strings.Cut(string(unit), "ExecStart=/usr/bin/moongate mux ")
	if !ok {
		t.Fatal("no ExecStart")
	}
	line, _, _ = strings.Cut(line, "\n")
	args := strings.Fields(strings.NewReplacer("${UPSTREAM}", "/run/openvpn/x.sock", "%t", "/run", "%i", "x", "$OPTIONS", "--socket-group root").Replace(line))
	cmd := NewCmd(&env.Env{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}})
	if err := cmd.ParseFlags(args); err != nil || cmd.Flags().NArg() != 0 {
		t.Errorf("%q: %v, %q left", args, err, cmd.Flags().Args())
	}
}

func TestAccess(t *testing.T) {
	file := t.TempDir() + "/pw"
	if err := os.WriteFile(file, []byte("look\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options{roles: []string{"operate", "observe=" + file}, password: file}
	a, err := o.access()
	if err != nil || a.Role != mgmt.RoleOperate || len(a.Passwords) != 2 || a.Passwords[0].Role != mgmt.RoleOperate || a.Passwords[1].Role != mgmt.RoleObserve {
		t.Errorf("%+v, %v", a, err)
	}
	for _, tt := range []struct {
		o    options
		mode fs.FileMode
	}{{options{}, 0o600}, {options{group: "root"}, 0o660}, {options{mode: "666"}, 0o666}, {options{mode: "640", group: "root"}, 0o640}} {
		if mode, _, err := tt.o.socket(); err != nil || mode != tt.mode {
			t.Errorf("%+v: %o, %v", tt.o, mode, err)
		}
	}
}
