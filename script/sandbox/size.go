package sandbox

import (
	lua "github.com/yuin/gopher-lua"
)

// Size estimates the bytes of everything that can be reached from roots and the globals of L: tables, strings, closures, the
// variables of suspended coroutines. Strings that are shared count once a holder; what Go code keeps is not seen.
func Size(L *lua.LState, roots ...lua.LValue) int64 {
	c := counter{seen: make(map[lua.LValue]bool)}
	c.todo = append(c.todo, L.G.Global, L.G.Registry)
	c.todo = append(c.todo, roots...)
	for len(c.todo) > 0 {
		v := c.todo[len(c.todo)-1]
		c.todo = c.todo[:len(c.todo)-1]
		c.visit(v)
	}
	return c.bytes
}

type counter struct {
	bytes int64
	seen  map[lua.LValue]bool
	todo  []lua.LValue
}

// Sizes of gopher-lua's values on a 64-bit machine.
const (
	sizeOfValue    = 16  // an interface
	sizeOfTable    = 112 // without its entries
	sizeOfEntry    = 96  // of the hash part, with its place in the order of keys
	sizeOfFunction = 80
	sizeOfThread   = 8 << 10
)

// add counts a value where it stands and remembers what it refers to.
func (c *counter) add(v lua.LValue) {
	switch v := v.(type) {
	case nil:
	case lua.LString:
		c.bytes += int64(len(v))
	case lua.LNumber:
		c.bytes += 8
	case *lua.LTable, *lua.LFunction, *lua.LUserData, *lua.LState:
		if !c.seen[v] {
			c.seen[v] = true
			c.todo = append(c.todo, v)
		}
	}
}

func (c *counter) visit(v lua.LValue) {
	switch v := v.(type) {
	case *lua.LTable:
		c.bytes += sizeOfTable
		n := lua.LNumber(v.Len())
		v.ForEach(func(key, value lua.LValue) {
			if k, ok := key.(lua.LNumber); ok && k <= n {
				c.bytes += sizeOfValue
			} else {
				c.bytes += sizeOfEntry
				c.add(key)
			}
			c.add(value)
		})
		c.add(v.Metatable)
	case *lua.LFunction:
		c.bytes += sizeOfFunction
		for _, u := range v.Upvalues {
			if u != nil {
				c.bytes += sizeOfValue
				c.add(u.Value())
			}
		}
		if v.Env != nil {
			c.add(v.Env)
		}
	case *lua.LUserData:
		c.bytes += sizeOfTable
		c.add(v.Metatable)
		if v.Env != nil {
			c.add(v.Env)
		}
	case *lua.LState:
		c.bytes += sizeOfThread
		for level := 0; ; level++ {
			frame, ok := v.GetStack(level)
			if !ok {
				return
			}
			if fn, err := v.GetInfo("f", frame, lua.LNil); err == nil {
				c.add(fn)
			}
			for i := 1; ; i++ {
				name, value := v.GetLocal(frame, i)
				if name == "" {
					break
				}
				c.add(value)
			}
		}
	}
}
