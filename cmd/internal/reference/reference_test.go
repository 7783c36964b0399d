package reference

import (
	"flag"
	"os"
	"testing"

	"github.com/moongate-vpn/moongate/mgmt"
)

var update = flag.Bool("update", false, "rewrite docs/reference.md")

// Every line and every kind is explained, and nothing that does not exist.
func TestEverythingIsExplained(t *testing.T) {
	for _, c := range mgmt.Commands() {
		if e := commands[c.Name]; !c.Hidden && (e.example == "" || e.fields == "") {
			t.Errorf("%s is not explained", c.Name)
		}
	}
	for name := range commands {
		if mgmt.Lookup(name) == nil {
			t.Errorf("%s is explained and does not exist", name)
		}
	}
	for _, k := range mgmt.Kinds() {
		if e := kinds[k]; e.example == "" || e.fields == "" {
			t.Errorf("%s is not explained", k)
		}
	}
}

func TestTheDocumentIsGenerated(t *testing.T) {
	const file = "../../../docs/reference.md"
	want := Markdown()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(file); err != nil || string(have) != want {
		t.Errorf("%s is not what the tables say: go test ./cmd/internal/reference -update (%v)", file, err)
	}
}
