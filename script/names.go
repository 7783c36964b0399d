package script

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"

	"github.com/moongate-vpn/moongate/script/lib"
	"github.com/moongate-vpn/moongate/script/meta"
)

// Doubt is something in a script that does not do what it seems to.
type Doubt struct {
	File    string
	Line    int
	Text    string
	Warning bool // else it is an error when that line runs
}

// Doubts compiles the file at path and looks for names of events, and of fields and methods of events, that script/meta does not declare. It
// sees events where their names stand in the source: in calls of on and wait_for, and in the functions that are given to on. A file that
// does not compile is an error, an *Error where its text is at fault.
func Doubts(path string) ([]Doubt, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read script: %w", err)
	}
	if _, err := compileSource(path, src); err != nil {
		return nil, err
	}
	stmts, err := parse.Parse(strings.NewReader(sourceText(src)), filepath.Base(path))
	if err != nil {
		return nil, err // compiled it was
	}
	w := &namesWalk{path: path}
	w.block(stmts, &names{vars: make(map[string]*local)})
	for len(w.later) > 0 {
		next := w.later[0]
		w.later = w.later[1:]
		next()
	}
	slices.SortStableFunc(w.found, func(a, b Doubt) int { return a.Line - b.Line })
	return w.found, nil
}

// names are the variables of a block, and of the blocks around it.
type names struct {
	up   *names
	vars map[string]*local
}

// local is a variable. A global function is one of the outermost block.
type local struct {
	events []string // it holds an event of one of these names; empty: nothing is known of it
	fn     bool     // it is a function, whose first argument is such an event
}

func (n *names) find(name string) *local {
	for ; n != nil; n = n.up {
		if v := n.vars[name]; v != nil {
			return v
		}
	}
	return nil
}

func (n *names) inner() *names { return &names{n, make(map[string]*local)} }

type namesWalk struct {
	path  string
	found []Doubt
	later []func() // bodies of named functions: what calls them is known when the rest has been seen
}

func (w *namesWalk) doubt(line int, warning bool, format string, args ...any) {
	w.found = append(w.found, Doubt{w.path, line, fmt.Sprintf(format, args...), warning})
}

func (w *namesWalk) block(stmts []ast.Stmt, n *names) {
	for _, s := range stmts {
		w.stmt(s, n)
	}
}

func (w *namesWalk) stmt(s ast.Stmt, n *names) {
	switch s := s.(type) {
	case *ast.AssignStmt:
		w.exprs(s.Rhs, n)
		for _, e := range s.Lhs {
			if id, ok := e.(*ast.IdentExpr); !ok {
				w.expr(e, n)
			} else if v := n.find(id.Value); v != nil {
				v.events = nil
			} else {
				n.vars[id.Value] = &local{}
			}
		}
	case *ast.LocalAssignStmt:
		for i, name := range s.Names {
			v := &local{}
			if i < len(s.Exprs) {
				if fn, ok := s.Exprs[i].(*ast.FunctionExpr); ok {
					n.vars[name] = v // a local function sees itself
					w.named(fn, v, n)
					continue
				}
				w.expr(s.Exprs[i], n)
				if call, ok := s.Exprs[i].(*ast.FuncCallExpr); ok && i == 0 && isOurs(call, "wait_for", n) {
					v.events = eventName(call)
				}
			}
			n.vars[name] = v
		}
		if len(s.Exprs) > len(s.Names) {
			w.exprs(s.Exprs[len(s.Names):], n)
		}
	case *ast.FuncDefStmt:
		v := &local{}
		if id, ok := s.Name.Func.(*ast.IdentExpr); ok {
			n.vars[id.Value] = v
		}
		w.named(s.Func, v, n)
	case *ast.FuncCallStmt:
		w.expr(s.Expr, n)
	case *ast.DoBlockStmt:
		w.block(s.Stmts, n.inner())
	case *ast.WhileStmt:
		w.expr(s.Condition, n)
		w.block(s.Stmts, n.inner())
	case *ast.RepeatStmt:
		in := n.inner()
		w.block(s.Stmts, in)
		w.expr(s.Condition, in)
	case *ast.IfStmt:
		w.expr(s.Condition, n)
		w.block(s.Then, n.inner())
		w.block(s.Else, n.inner())
	case *ast.NumberForStmt:
		w.exprs([]ast.Expr{s.Init, s.Limit, s.Step}, n)
		in := n.inner()
		in.vars[s.Name] = &local{}
		w.block(s.Stmts, in)
	case *ast.GenericForStmt:
		w.exprs(s.Exprs, n)
		in := n.inner()
		for _, name := range s.Names {
			in.vars[name] = &local{}
		}
		w.block(s.Stmts, in)
	case *ast.ReturnStmt:
		w.exprs(s.Exprs, n)
	}
}

func (w *namesWalk) exprs(list []ast.Expr, n *names) {
	for _, e := range list {
		if e != nil {
			w.expr(e, n)
		}
	}
}

func (w *namesWalk) expr(e ast.Expr, n *names) {
	switch e := e.(type) {
	case *ast.FuncCallExpr:
		w.call(e, n)
	case *ast.AttrGetExpr:
		w.expr(e.Object, n)
		w.expr(e.Key, n)
		if key, ok := e.Key.(*ast.StringExpr); ok {
			w.field(e.Object, key.Value, e.Line(), n)
		}
	case *ast.FunctionExpr:
		w.body(e, nil, n)
	case *ast.TableExpr:
		for _, f := range e.Fields {
			w.exprs([]ast.Expr{f.Key, f.Value}, n)
		}
	case *ast.LogicalOpExpr:
		w.exprs([]ast.Expr{e.Lhs, e.Rhs}, n)
	case *ast.RelationalOpExpr:
		w.exprs([]ast.Expr{e.Lhs, e.Rhs}, n)
	case *ast.StringConcatOpExpr:
		w.exprs([]ast.Expr{e.Lhs, e.Rhs}, n)
	case *ast.ArithmeticOpExpr:
		w.exprs([]ast.Expr{e.Lhs, e.Rhs}, n)
	case *ast.UnaryMinusOpExpr:
		w.expr(e.Expr, n)
	case *ast.UnaryNotOpExpr:
		w.expr(e.Expr, n)
	case *ast.UnaryLenOpExpr:
		w.expr(e.Expr, n)
	}
}

// named is a function with a name: its body is looked at when all calls of on have been seen.
func (w *namesWalk) named(fn *ast.FunctionExpr, v *local, n *names) {
	v.fn = true
	w.later = append(w.later, func() { w.body(fn, v.events, n) })
}

// body is that of a function whose first argument is an event of these names, if there are any.
func (w *namesWalk) body(fn *ast.FunctionExpr, events []string, n *names) {
	in := n.inner()
	for i, name := range fn.ParList.Names {
		in.vars[name] = &local{}
		if i == 0 {
			in.vars[name].events = events
		}
	}
	w.block(fn.Stmts, in)
}

// call looks at on(event, function) and wait_for(event, filter), and at methods of events.
func (w *namesWalk) call(c *ast.FuncCallExpr, n *names) {
	if c.Receiver != nil {
		w.expr(c.Receiver, n)
		w.field(c.Receiver, c.Method, c.Line(), n)
	} else {
		w.expr(c.Func, n)
	}
	on, waits := isOurs(c, "on", n), isOurs(c, "wait_for", n)
	events := eventName(c)
	if !on && !waits || events == nil {
		w.exprs(c.Args, n)
		return
	}
	if event := events[0]; event != "*" && !slices.Contains(lib.EventNames(), event) {
		w.doubt(c.Line(), false, "unknown event %q%s", event, lib.DidYouMean(event, lib.EventNames()))
		events = nil
	}
	if len(c.Args) < 2 {
		return
	}
	switch x := c.Args[1].(type) {
	case *ast.FunctionExpr:
		w.body(x, events, n)
	case *ast.IdentExpr:
		if v := n.find(x.Value); on && v != nil && v.fn {
			v.events = append(v.events, events...)
		}
	case *ast.TableExpr:
		for _, f := range x.Fields {
			if key, ok := f.Key.(*ast.StringExpr); ok && waits && events != nil {
				w.fieldOf(events, key.Value, c.Line())
			}
		}
		w.expr(x, n)
	default:
		w.expr(x, n)
	}
	w.exprs(c.Args[2:], n)
}

// isOurs reports whether a call is one of moongate.NAME, or of NAME where the script has no variable of that name.
func isOurs(c *ast.FuncCallExpr, name string, n *names) bool {
	if c.Receiver != nil {
		return false
	}
	switch f := c.Func.(type) {
	case *ast.IdentExpr:
		return f.Value == name && n.find(name) == nil
	case *ast.AttrGetExpr:
		object, isName := f.Object.(*ast.IdentExpr)
		key, isText := f.Key.(*ast.StringExpr)
		return isName && isText && object.Value == "moongate" && n.find("moongate") == nil && key.Value == name
	}
	return false
}

// eventName is the first argument of a call, if it is written there.
func eventName(c *ast.FuncCallExpr) []string {
	if len(c.Args) > 0 {
		if s, ok := c.Args[0].(*ast.StringExpr); ok {
			return []string{s.Value}
		}
	}
	return nil
}

// field looks at object.name, or object:name, where object is an event.
func (w *namesWalk) field(object ast.Expr, name string, line int, n *names) {
	id, ok := object.(*ast.IdentExpr)
	if !ok {
		return
	}
	if v := n.find(id.Value); v != nil && !v.fn && len(v.events) > 0 && !slices.Contains(meta.Methods(), name) {
		w.fieldOf(v.events, name, line)
	}
}

func (w *namesWalk) fieldOf(events []string, name string, line int) {
	if !slices.Contains(meta.Fields(), name) {
		w.doubt(line, false, "%s", noField(name))
		return
	}
	for _, event := range events {
		if event == "*" || slices.Contains(meta.FieldsOf(event), name) {
			return
		}
	}
	w.doubt(line, true, "%s has no field %q: it is nil here", strings.Join(events, ", "), name)
}

// noField is the error for a field that no event has.
func noField(name string) string {
	return fmt.Sprintf("an event has no field %q%s", lib.Short(name), lib.DidYouMean(name, slices.Concat(meta.Fields(), meta.Methods())))
}
