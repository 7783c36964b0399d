package cli

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/follow"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/history"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/reload"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/simple"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/status"
)

// Every command has a synopsis, a description and an example, and starts in the group help shows it in.
func TestEveryCommandIsDocumented(t *testing.T) {
	var out bytes.Buffer
	root := NewRoot(&env.Env{Out: &out, Err: &out, Getenv: os.Getenv}, "x")
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c != root && (c.Short == "" || c.Long == "" || c.Example == "" || c.GroupID == "") {
			t.Errorf("%s lacks a description, an example or a group", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
}

// docs/json.md lists the schemas that are printed, no more and no less.
func TestSchemasAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(moongate\\.[a-z]+/[0-9]+)`").FindAllStringSubmatch(string(b), -1) {
		listed = append(listed, m[1])
	}
	want := []string{
		status.StatusSchema, status.ClientsSchema, status.VersionSchema, history.StateSchema, history.LogSchema, history.EchoSchema,
		follow.EventSchema, follow.ByteCountSchema, simple.Schema, reload.Schema,
	}
	slices.Sort(listed)
	slices.Sort(want)
	if diff := cmp.Diff(want, listed); diff != "" {
		t.Errorf("(-printed +listed):\n%s", diff)
	}
	for _, code := range []string{"| 0 |", "| 1 |", "| 2 |", "| 3 |", "| 4 |", "| 5 |", "| 6 |"} {
		if !strings.Contains(string(b), code) {
			t.Errorf("exit code %s is not listed", code)
		}
	}
}
