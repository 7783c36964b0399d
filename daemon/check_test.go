package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/plugin"
)

// Check tells beforehand what a configuration with plugins lacks, and what to do about it.
func TestCheckLooksForPlugins(t *testing.T) {
	there := filepath.Join(t.TempDir(), "a.so")
	if err := os.WriteFile(there, elfHeader, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, helper, plugin string
		want                 []string
	}{
		{"all there", there, there, nil},
		{"no plugin", there, there + "x", []string{"--plugin: stat " + there + "x: no such file or directory"}},
		{"no helper", "", there, []string{"plugins need the helper program moongate-plugin, which is not installed: install it with moongate's package"}},
		{"relative to cd", there, "./a.so", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(plugin.HelperVariable, tt.helper)
			found, _ := Check([]string{"--dev", "null", "--cd", filepath.Dir(there), "--plugin", tt.plugin})
			found = slices.DeleteFunc(found, func(f config.Finding) bool { return f.Rule != "plugin" })
			if len(found) != len(tt.want) {
				t.Fatalf("found %+v, want %q", found, tt.want)
			}
			for n, want := range tt.want {
				if !strings.HasPrefix(found[n].Text, want) || found[n].Warning {
					t.Errorf("found %+v, want %q", found[n], want)
				}
			}
		})
	}
}

// elfHeader is a shared object of 64 bits without any content.
var elfHeader = append([]byte("\x7fELF\x02\x01\x01"+strings.Repeat("\x00", 9)+"\x03\x00\x3e\x00\x01"), make([]byte, 64-21)...)
