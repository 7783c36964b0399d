package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Words that a reader stumbles over, with what to write in their place.
var words = []struct{ word, instead string }{
	{`somebody|someone|anybody|everybody|whoever`, "the name of what acts: the peer, the client, a seat"},
	{`(is|are) what`, `a verb: "Config makes …", "learned lists …"`},
	{`(is|are) how (an?|the|one|our|clients)`, `a verb: "tells how …", "says how …"`},
	{`could not be had`, "what failed: could not be opened, is not there"},
	{`the begin of`, "the start of"},
	{`(has|have) a say`, "decides"},
	{`be (that|it) (the|that|an?)`, "the cases, one after the other"},
	{`strangers?|doorkeepers?`, "before the handshake, or before the password"},
	{`judges?`, "verifier"},
	{`rivals?`, "challenger"},
	{`trains?`, "batch"},
}

// plain are the rooms, with everything below them, whose comments and names keep to the field's words.
var plain = []string{"daemon", "mgmt", "script", "cmd"}

// copied are the files that are another project's: the toolchain's crypto/tls.
const copied = "../daemon/tls"

func TestPlainWords(t *testing.T) {
	t.Parallel()
	inComment, inName := make([]*regexp.Regexp, len(words)), make([]*regexp.Regexp, len(words))
	fine := make(map[string]bool) // names, which come again and again
	var all []string
	for i, w := range words {
		all = append(all, w.word)
		inComment[i] = regexp.MustCompile(`(?i)\b(` + w.word + `)\b`)
		inName[i] = regexp.MustCompile(`^(?i:` + w.word + `)([A-Z0-9]|$)|[a-z](` + titled(w.word) + `)([A-Z0-9]|$)`)
	}
	oneOf := regexp.MustCompile(`(?i)\b(` + strings.Join(all, "|") + `)\b`)
	files := 0
	for _, room := range plain {
		err := filepath.WalkDir("../"+room, func(path string, d fs.DirEntry, err error) error {
			if d != nil && d.IsDir() && path == copied {
				return filepath.SkipDir
			}
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files++
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, group := range f.Comments {
				for _, c := range group.List {
					if !oneOf.MatchString(c.Text) {
						continue
					}
					for i, re := range inComment {
						if m := re.FindString(c.Text); m != "" {
							t.Errorf("%s: %q: write %s", fset.Position(c.Pos()), m, words[i].instead)
						}
					}
				}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && !fine[id.Name] {
					fine[id.Name] = true
					for i, re := range inName {
						if re.MatchString(id.Name) {
							fine[id.Name] = false
							t.Errorf("%s: %s: write %s", fset.Position(id.Pos()), id.Name, words[i].instead)
						}
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 300 {
		t.Errorf("only %d files: the test looks in the wrong place", files)
	}
}

// titled is an alternation with a capital at the start of each word, as inside a name.
func titled(alternation string) string {
	parts := strings.Split(alternation, "|")
	for i, p := range parts {
		parts[i] = strings.ToUpper(p[:1]) + p[1:]
	}
	return strings.Join(parts, "|")
}
