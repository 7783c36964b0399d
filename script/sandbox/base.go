package sandbox

import (
	"math"
	"math/rand/v2"
	"strconv"

	lua "github.com/yuin/gopher-lua"
)

// maxDateFormat is the longest format of os.date, in bytes: gopher-lua calls itself for each "%%" in it.
const maxDateFormat = 256

// boundedDate is os.date with a bounded format.
func boundedDate(date lua.LGFunction) lua.LGFunction {
	return func(L *lua.LState) int {
		if f := L.OptString(1, ""); len(f) > maxDateFormat {
			L.ArgError(1, "a format of at most "+strconv.Itoa(maxDateFormat)+" bytes")
		}
		return date(L)
	}
}

// openRandom gives each state numbers of its own: a seed that one script sets does not reach others.
func openRandom(L *lua.LState) {
	source := rand.NewPCG(rand.Uint64(), rand.Uint64())
	numbers := rand.New(source) //nolint:gosec // moongate.random is for secrets
	L.SetFuncs(L.G.Global.RawGetString(lua.MathLibName).(*lua.LTable), map[string]lua.LGFunction{
		"randomseed": func(L *lua.LState) int {
			source.Seed(math.Float64bits(float64(L.CheckNumber(1))), 0)
			return 0
		},
		"random": func(L *lua.LState) int {
			low, high, last := int64(1), int64(0), L.GetTop()
			switch last {
			case 0:
				L.Push(lua.LNumber(numbers.Float64()))
				return 1
			case 1:
				high = L.CheckInt64(1)
			default:
				low, high, last = L.CheckInt64(1), L.CheckInt64(2), 2
			}
			if high < low {
				L.ArgError(last, "interval is empty")
			}
			span := uint64(high-low) + 1 //nolint:gosec // wraps to the right number
			n := numbers.Uint64()
			if span != 0 { // else every number will do
				n = numbers.Uint64N(span)
			}
			L.Push(lua.LNumber(low + int64(n))) //nolint:gosec // wraps to the right number
			return 1
		},
	})
}

// running is coroutine.running: nil in a handler. A script that had the coroutine of its handler could resume it while the runtime does.
func running(L *lua.LState) int {
	if L.Parent == nil || L.Parent.Parent == nil {
		L.Push(lua.LNil)
	} else {
		L.Push(L)
	}
	return 1
}
