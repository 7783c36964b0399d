package script_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/script"
)

// Every example has a header that is its manual, and a test beside it that passes.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../examples/lua/*.lua")
	if err != nil || len(files) < 28 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.lua") {
			continue
		}
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			src, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if text := string(src); !strings.HasPrefix(text, "#!/usr/bin/env -S moongate run\n-- ") || !strings.Contains(text, "\n-- usage:  ") {
				t.Error("no header with its usage")
			}
			results, err := script.Test(t.Context(), strings.TrimSuffix(path, ".lua")+"_test.lua", nil)
			if err != nil || len(results) == 0 {
				t.Fatalf("%d tests, %v", len(results), err)
			}
			for _, r := range results {
				if r.Failure != "" {
					t.Errorf("%s: %s", r.Name, r.Failure)
				}
			}
		})
	}
}
