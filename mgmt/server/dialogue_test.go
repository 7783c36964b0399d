package server_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
)

var update = flag.Bool("update", false, "rewrite the dialogues with what was said")

// TestDialogues plays every dialogue on the scripted daemon.
func TestDialogues(t *testing.T) {
	for path, d := range dialogues(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := mgmttest.NewPlayer(t, d.Config())
				got, err := mgmttest.Play(d, p)
				if err != nil {
					t.Fatal(err)
				}
				p.Daemon().Stop()
				if *update {
					if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				if diff := cmp.Diff(d.String(), got.String()); diff != "" {
					t.Errorf("the dialogue differs (-file +said):\n%s", diff)
				}
			})
		})
	}
}

func dialogues(t *testing.T) map[string]mgmttest.Dialogue {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("dialogues: %v, %v", paths, err)
	}
	all := make(map[string]mgmttest.Dialogue)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		d, err := mgmttest.Parse(string(text))
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all[path] = d
	}
	return all
}
