package sandbox

import (
	"errors"
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
	"github.com/yuin/gopher-lua/parse"
)

// Chunk is a compiled file.
type Chunk struct {
	name  string
	lines []string
	proto *lua.FunctionProto
}

// Lines is the source.
func (c *Chunk) Lines() []string { return c.lines }

// maxDepth is how deep a source may nest: the compiler of gopher-lua calls itself for each level, and Go's stack has an end.
const maxDepth = 2000

// Names of the operators that are functions here, as no script can spell them.
const (
	opConcat = " .."
	opLen    = " #"
)

// Compile reads a file. Errors and traces call it name. Errors are gopher-lua's, or tell of a file that nests too deep.
//
// Two operators become calls of functions of ours, because a single instruction of gopher-lua can take any amount of memory:
// the concatenation, which is bounded, and the length, which refuses lists that are too long to grow. Loops over iterators
// become loops in which the iterator may wait.
func Compile(name, source string) (*Chunk, error) {
	if err := nesting(name, source); err != nil {
		return nil, err
	}
	stmts, err := parse.Parse(strings.NewReader(source), name)
	if err != nil {
		return nil, err
	}
	w := &rewriter{name: name}
	w.block(stmts)
	if w.err != nil {
		return nil, w.err
	}
	// local concat, len = ...; return function(...) SOURCE end
	body := &ast.FunctionExpr{ParList: &ast.ParList{HasVargs: true}, Stmts: stmts}
	body.SetLine(1)
	body.SetLastLine(strings.Count(source, "\n") + 1)
	operators := &ast.LocalAssignStmt{Names: []string{opConcat, opLen}, Exprs: []ast.Expr{&ast.Comma3Expr{}}}
	operators.SetLine(1)
	result := &ast.ReturnStmt{Exprs: []ast.Expr{body}}
	result.SetLine(1)
	proto, err := compileChunk([]ast.Stmt{operators, result}, name)
	if err != nil {
		return nil, err
	}
	return &Chunk{name, strings.Split(source, "\n"), proto}, nil
}

// compileChunk turns what gopher-lua's compiler panics with into errors.
func compileChunk(stmts []ast.Stmt, name string) (proto *lua.FunctionProto, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s:1: cannot be compiled: %v", name, r)
		}
	}()
	return lua.Compile(stmts, name)
}

// Load makes the chunk a function of L.
func (c *Chunk) Load(L *lua.LState) (*lua.LFunction, error) {
	L.Push(L.NewFunctionFromProto(c.proto))
	L.Push(L.NewFunction(concatOperator))
	L.Push(L.NewFunction(lenOperator))
	if err := L.PCall(2, 1, nil); err != nil {
		return nil, err
	}
	fn, ok := L.Get(-1).(*lua.LFunction)
	L.Pop(1)
	if !ok {
		return nil, errors.New("not a chunk")
	}
	return fn, nil
}

// nesting refuses sources with more brackets or blocks inside each other than the parser's own stack should hold. It counts
// roughly: brackets in strings and comments count too, which no real file notices.
func nesting(name, source string) error {
	depth, line := 0, 1
	for i := range len(source) {
		switch source[i] {
		case '\n':
			line++
		case '(', '[', '{':
			if depth++; depth > 10*maxDepth {
				return tooDeep(name, line)
			}
		case ')', ']', '}':
			depth--
		}
	}
	return nil
}

func tooDeep(name string, line int) error {
	return fmt.Errorf("%s:%d: the source nests deeper than %d levels", name, line, maxDepth)
}

// rewriter walks a syntax tree, replaces operators and counts levels.
type rewriter struct {
	name  string
	depth int
	err   error
}

func (w *rewriter) enter(at ast.PositionHolder) bool {
	if w.depth++; w.depth > maxDepth && w.err == nil {
		w.err = tooDeep(w.name, at.Line())
	}
	return w.err == nil
}

func (w *rewriter) block(stmts []ast.Stmt) {
	for i := range stmts {
		w.stmt(&stmts[i])
	}
}

func (w *rewriter) stmt(p *ast.Stmt) {
	if !w.enter(*p) {
		return
	}
	defer func() { w.depth-- }()
	switch s := (*p).(type) {
	case *ast.AssignStmt:
		w.list(s.Lhs)
		w.list(s.Rhs)
	case *ast.LocalAssignStmt:
		w.list(s.Exprs)
	case *ast.FuncCallStmt:
		w.expr(&s.Expr)
	case *ast.DoBlockStmt:
		w.block(s.Stmts)
	case *ast.WhileStmt:
		w.expr(&s.Condition)
		w.block(s.Stmts)
	case *ast.RepeatStmt:
		w.expr(&s.Condition)
		w.block(s.Stmts)
	case *ast.IfStmt:
		w.expr(&s.Condition)
		w.block(s.Then)
		w.block(s.Else)
	case *ast.NumberForStmt:
		w.expr(&s.Init)
		w.expr(&s.Limit)
		w.expr(&s.Step)
		w.block(s.Stmts)
	case *ast.GenericForStmt:
		w.list(s.Exprs)
		w.block(s.Stmts)
		*p = genericFor(s)
	case *ast.FuncDefStmt:
		w.expr(&s.Name.Func)
		w.expr(&s.Name.Receiver)
		w.block(s.Func.Stmts)
	case *ast.ReturnStmt:
		w.list(s.Exprs)
	}
}

func (w *rewriter) list(exprs []ast.Expr) {
	for i := range exprs {
		w.expr(&exprs[i])
	}
}

func (w *rewriter) expr(p *ast.Expr) {
	if *p == nil || !w.enter(*p) {
		return
	}
	defer func() { w.depth-- }()
	switch e := (*p).(type) {
	case *ast.AttrGetExpr:
		w.expr(&e.Object)
		w.expr(&e.Key)
	case *ast.TableExpr:
		for _, f := range e.Fields {
			w.expr(&f.Key)
			w.expr(&f.Value)
			if f.Key != nil { // gopher-lua adds the results of a last field's call to the list, too: {"a", x = f()}
				f.Value = single(f.Value)
			}
		}
	case *ast.FuncCallExpr:
		w.expr(&e.Func)
		w.expr(&e.Receiver)
		w.list(e.Args)
	case *ast.LogicalOpExpr:
		w.expr(&e.Lhs)
		w.expr(&e.Rhs)
	case *ast.RelationalOpExpr:
		w.expr(&e.Lhs)
		w.expr(&e.Rhs)
	case *ast.ArithmeticOpExpr:
		w.expr(&e.Lhs)
		w.expr(&e.Rhs)
	case *ast.UnaryMinusOpExpr:
		w.expr(&e.Expr)
	case *ast.UnaryNotOpExpr:
		w.expr(&e.Expr)
	case *ast.FunctionExpr:
		w.block(e.Stmts)
	case *ast.StringConcatOpExpr:
		w.concat(p, e)
	case *ast.UnaryLenOpExpr:
		w.expr(&e.Expr)
		*p = operator(opLen, e, e.Expr)
	}
}

// maxOperands is how many operands one call joins: all are in registers. Longer chains are joined piece by piece, from the left.
const maxOperands = 50

// concat turns a chain a .. b .. c, which leans to the right, into one call.
func (w *rewriter) concat(p *ast.Expr, e *ast.StringConcatOpExpr) {
	var operands []ast.Expr
	for {
		operands = append(operands, single(e.Lhs))
		next, ok := e.Rhs.(*ast.StringConcatOpExpr)
		if !ok {
			operands = append(operands, single(e.Rhs))
			break
		}
		e = next
	}
	w.list(operands)
	for len(operands) > 1 {
		n := min(len(operands), maxOperands)
		operands = append([]ast.Expr{operator(opConcat, e, operands[:n]...)}, operands[n:]...)
	}
	*p = operands[0]
}

// single keeps an operand from yielding more than one value as the last argument of a call.
func single(e ast.Expr) ast.Expr {
	switch e := e.(type) {
	case *ast.FuncCallExpr:
		e.AdjustRet = true
	case *ast.Comma3Expr:
		e.AdjustRet = true
	}
	return e
}

// operator is a call of one of our functions at the place of e.
func operator(name string, e ast.PositionHolder, args ...ast.Expr) ast.Expr {
	fn := &ast.IdentExpr{Value: name}
	fn.SetLine(e.Line())
	fn.SetLastLine(e.LastLine())
	call := &ast.FuncCallExpr{Func: fn, Args: args, AdjustRet: true}
	call.SetLine(e.Line())
	call.SetLastLine(e.LastLine())
	return call
}

// Names of the hidden variables of a loop.
const (
	loopNext    = " next"
	loopState   = " state"
	loopControl = " control"
)

// genericFor writes a for over an iterator as a while, as gopher-lua's own instruction calls the iterator in an interpreter loop
// of its own, where nothing can wait:
//
//	do
//	  local next, state, control = EXPRS
//	  while true do
//	    local NAMES = next(state, control)
//	    if NAMES[1] == nil then break end
//	    control = NAMES[1]
//	    do BODY end
//	  end
//	end
func genericFor(s *ast.GenericForStmt) ast.Stmt {
	line := func(n ast.PositionHolder) { n.SetLine(s.Line()); n.SetLastLine(s.Line()) }
	ident := func(name string) ast.Expr {
		e := &ast.IdentExpr{Value: name}
		line(e)
		return e
	}
	isNil := &ast.RelationalOpExpr{Operator: "==", Lhs: ident(s.Names[0]), Rhs: &ast.NilExpr{}}
	line(isNil)
	line(isNil.Rhs)
	next := &ast.FuncCallExpr{Func: ident(loopNext), Args: []ast.Expr{ident(loopState), ident(loopControl)}}
	line(next)
	always := &ast.TrueExpr{}
	line(always)
	stmts := []ast.Stmt{
		&ast.LocalAssignStmt{Names: s.Names, Exprs: []ast.Expr{next}},
		&ast.IfStmt{Condition: isNil, Then: []ast.Stmt{&ast.BreakStmt{}}},
		&ast.AssignStmt{Lhs: []ast.Expr{ident(loopControl)}, Rhs: []ast.Expr{ident(s.Names[0])}},
		&ast.DoBlockStmt{Stmts: s.Stmts},
	}
	for _, st := range stmts {
		line(st)
	}
	line(stmts[1].(*ast.IfStmt).Then[0])
	stmts[3].SetLastLine(s.LastLine())
	loop := &ast.WhileStmt{Condition: always, Stmts: stmts}
	line(loop)
	loop.SetLastLine(s.LastLine())
	names := &ast.LocalAssignStmt{Names: []string{loopNext, loopState, loopControl}, Exprs: s.Exprs}
	line(names)
	block := &ast.DoBlockStmt{Stmts: []ast.Stmt{names, loop}}
	line(block)
	block.SetLastLine(s.LastLine())
	return block
}
