package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"
)

// The data plane holds data paths and no instances, and nothing but the hub looks behind a data path.
func TestDataPlaneHoldsNoInstance(t *testing.T) {
	plane := map[string]bool{"inbound.go": true, "outbound.go": true, "frames.go": true, "plane.go": true}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("the files of the package: %v %v", files, err)
	}
	seen := 0
	for _, name := range files {
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		if plane[name] {
			seen++
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				if plane[name] && n.Name == "instance" {
					t.Errorf("%s: the data plane names an instance", fset.Position(n.Pos()))
				}
			case *ast.SelectorExpr:
				if n.Sel.Name == "owner" && plane[name] {
					t.Errorf("%s: the data plane looks behind a data path", fset.Position(n.Pos()))
				}
			}
			return true
		})
	}
	if seen != len(plane) {
		t.Errorf("%d of %d files of the data plane found", seen, len(plane))
	}
}
