package server

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
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

// What runs beside the hub uses neither the hub, nor its parts, nor an instance, but in functions that the hub runs.
func TestWorkBesideTheHubHoldsNoInstance(t *testing.T) {
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	jobs := 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			body, beside := workBeside(n)
			if !beside {
				return true
			}
			jobs++
			ast.Inspect(body, func(n ast.Node) bool {
				if lit, ok := n.(*ast.FuncLit); ok && takes(lit.Type, "hub") {
					return false // the hub runs it
				}
				id, ok := n.(*ast.Ident)
				if !ok || id.Obj == nil {
					return true
				}
				if decl, ok := id.Obj.Decl.(*ast.Field); ok && slices.Contains(hubOnly, pointee(decl.Type)) {
					t.Errorf("%s: work beside the hub uses %s, which belongs to the hub", fset.Position(id.Pos()), id.Name)
				}
				return true
			})
			return true
		})
	}
	if jobs < 20 {
		t.Errorf("only %d functions run beside the hub: the test looks in the wrong place", jobs)
	}
}

// hubOnly are the types that only the hub's goroutine uses.
var hubOnly = []string{"instance", "hub", "clientLog", "errands", "links", "roster", "routing", "leases"}

// workBeside is the body of a function that runs beside the hub: a method of aside, or a job.
func workBeside(n ast.Node) (body ast.Node, ok bool) {
	switch n := n.(type) {
	case *ast.FuncDecl:
		return n, n.Recv != nil && pointee(n.Recv.List[0].Type) == "aside"
	case *ast.FuncLit:
		return n, takes(n.Type, "aside")
	}
	return nil, false
}

// takes reports whether a function has a parameter of type *name.
func takes(f *ast.FuncType, name string) bool {
	return slices.ContainsFunc(f.Params.List, func(p *ast.Field) bool { return pointee(p.Type) == name })
}

// pointee is the name of T of a type *T, "" for others.
func pointee(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		if id, ok := star.X.(*ast.Ident); ok {
			return id.Name
		}
	}
	return ""
}
