package tlsconf_test

import (
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// table reads an archive whose comment is a table: a row a line, its fields separated by tabs. It returns the files by name, and the rows.
func table(t *testing.T, path string) (content map[string][]byte, rows [][]string) {
	t.Helper()
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content = make(map[string][]byte)
	for _, f := range a.Files {
		content[f.Name] = f.Data
	}
	for line := range strings.Lines(string(a.Comment)) {
		if !strings.HasPrefix(line, "#") {
			rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
		}
	}
	return content, rows
}
