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
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, helper, plugin string
		want                 []string
	}{
		{"all there", there, there, nil},
		{"no plugin", there, there + "x", []string{"--plugin: stat " + there + "x: no such file or directory"}},
		{"no helper", "", there, []string{"plugins need the helper program moongate-plugin, which is not installed: install it with moongate's package"}},
		{"relative to cd", there, "sub/a.so", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv(plugin.HelperVariable, tt.helper)
			found, _ := Check([]string{"--dev", "null", "--plugin", tt.plugin})
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
