package test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCitations checks that every section of a document that a comment or another document names exists.
func TestCitations(t *testing.T) {
	anchors := map[string]map[string]bool{} // by path below the root
	type citation struct{ file, path, anchor string }
	var cited []citation

	inCode := regexp.MustCompile(`(docs/[\w/.-]+\.md)(?:#([\w-]+))?`)
	source := regexp.MustCompile(`docs/|RFC [0-9]|IEEE `)
	inDoc := regexp.MustCompile(`\]\(([\w/.-]*\.md)?(?:#([\w-]+))?\)`)
	root := ".."
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); n == ".git" || n == "testdata" || n == "dist" {
				return filepath.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch filepath.Ext(path) {
		case ".go":
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for line := range strings.Lines(string(b)) {
				if !strings.HasPrefix(strings.TrimSpace(line), "//") {
					continue
				}
				if _, rule, ok := strings.Cut(line, "Rule: "); ok && !source.MatchString(rule) {
					t.Errorf("%s: a rule without a source that a reader can open: %s", rel, strings.TrimSpace(line))
				}
				for _, m := range inCode.FindAllStringSubmatch(line, -1) {
					cited = append(cited, citation{rel, m[1], m[2]})
				}
			}
		case ".md":
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			anchors[rel] = headings(string(b))
			for _, m := range inDoc.FindAllStringSubmatch(string(b), -1) {
				to := rel
				if m[1] != "" {
					to = filepath.Join(filepath.Dir(rel), m[1])
				}
				cited = append(cited, citation{rel, to, m[2]})
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	rules := 0
	for _, c := range cited {
		known, ok := anchors[c.path]
		switch {
		case !ok:
			t.Errorf("%s names %s: there is no such document", c.file, c.path)
		case c.anchor != "" && !known[c.anchor]:
			t.Errorf("%s names %s#%s: there is no such section", c.file, c.path, c.anchor)
		}
		if filepath.Base(c.path) == "protocol.md" {
			rules++
		}
	}
	if rules < 30 {
		t.Errorf("found %d citations of docs/protocol.md, the code has more: does this test still read them?", rules)
	}
}

// headings returns the anchors that a Markdown page offers, as forges make them from its headings.
func headings(page string) map[string]bool {
	all := map[string]bool{}
	code := false
	for line := range strings.Lines(page) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "```") {
			code = !code
		}
		title := strings.TrimLeft(line, "#")
		if code || title == line || !strings.HasPrefix(title, " ") {
			continue
		}
		var b strings.Builder
		for _, r := range strings.ToLower(strings.TrimSpace(title)) {
			switch {
			case r == ' ':
				b.WriteByte('-')
			case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 0x7f:
				b.WriteRune(r)
			}
		}
		all[b.String()] = true
	}
	return all
}
