package reference

import (
	"flag"
	"os"
	"testing"

	"github.com/moongate-vpn/moongate/mgmt"
)

var update = flag.Bool("update", false, "rewrite docs/reference.md")

// Every line and every kind is explained.
func TestEverythingIsExplained(t *testing.T) {
	for _, c := range mgmt.Commands() {
		if !c.Hidden && (c.Example == "" || c.Returns == "") {
			t.Errorf("%s is not explained", c.Name)
		}
	}
	for _, k := range mgmt.Kinds() {
		if k.Example == "" || k.Fields == "" {
			t.Errorf("%s is not explained", k.Name)
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
