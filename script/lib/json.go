package lib

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
	"strings"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/script/sandbox"
)

// Limits of JSON values in either direction.
const (
	maxJSONDepth = 64
	maxJSONBytes = 4 << 20
	maxJSONList  = 131_070 // what a list of ours can have
)

// JSON is the module json: encode(value) and decode(text). Tables with the keys 1..n are arrays, an empty table is an
// object, json.null stands for null.
func JSON(L *lua.LState) *lua.LTable {
	null, meta := L.NewUserData(), L.NewTable()
	meta.RawSetString("__tostring", L.NewFunction(func(L *lua.LState) int { L.Push(lua.LString("null")); return 1 }))
	meta.RawSetString("__metatable", lua.LString("null"))
	null.Metatable = meta
	mod := L.NewTable()
	mod.RawSetString("null", null)
	L.SetFuncs(mod, map[string]lua.LGFunction{
		"encode": func(L *lua.LState) int {
			var b bytes.Buffer
			if err := (encoder{L, &b, null}).encode(L.CheckAny(1), 0); err != nil {
				return fail(L, err)
			}
			L.Push(lua.LString(b.String()))
			return 1
		},
		"decode": func(L *lua.LState) int {
			s := L.CheckString(1)
			if len(s) > maxJSONBytes {
				return fail(L, errors.New("json: text too long"))
			}
			dec := json.NewDecoder(strings.NewReader(s))
			v, err := decodeJSON(L, dec, null, 0)
			if err == nil {
				if _, err = dec.Token(); errors.Is(err, io.EOF) {
					L.Push(v)
					return 1
				}
				err = errors.New("text after the value")
			}
			return fail(L, fmt.Errorf("json: %w", err))
		},
	})
	return mod
}

// fail returns nil and the error's text to the script.
func fail(L *lua.LState, err error) int {
	L.Push(lua.LNil)
	L.Push(lua.LString(err.Error()))
	return 2
}

// encoder writes one value. It announces its work: a table may have a million keys.
type encoder struct {
	l    *lua.LState
	b    *bytes.Buffer
	null *lua.LUserData
}

// workOfValue is the cost of a value beside its text, in bytes for the meter.
const workOfValue = 256

func (e encoder) encode(v lua.LValue, depth int) error {
	if depth > maxJSONDepth {
		return errors.New("json: nested too deep")
	}
	if e.b.Len() > maxJSONBytes {
		return errTooLarge
	}
	sandbox.Spend(e.l, workOfValue)
	switch v := v.(type) {
	case *lua.LNilType:
		e.b.WriteString("null")
	case lua.LBool:
		fmt.Fprint(e.b, bool(v))
	case lua.LNumber:
		f := float64(v)
		if math.IsInf(f, 0) || math.IsNaN(f) {
			return errors.New("json: not a finite number")
		}
		if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			fmt.Fprintf(e.b, "%d", int64(f))
			return nil
		}
		x, _ := json.Marshal(f)
		e.b.Write(x)
	case lua.LString:
		return e.text(string(v))
	case *lua.LUserData:
		if v != e.null {
			return errors.New("json: cannot encode a userdata")
		}
		e.b.WriteString("null")
	case *lua.LTable:
		if n := v.Len(); n > 0 {
			return e.array(v, n, depth)
		}
		return e.object(v, depth)
	default:
		return fmt.Errorf("json: cannot encode a %s", v.Type())
	}
	return nil
}

var errTooLarge = errors.New("json: value too large")

func (e encoder) text(s string) error {
	if e.b.Len()+escaped(s) > maxJSONBytes {
		return errTooLarge
	}
	sandbox.Spend(e.l, 4*len(s))
	enc := json.NewEncoder(e.b)
	enc.SetEscapeHTML(false)
	enc.Encode(s)
	e.b.Truncate(e.b.Len() - 1) // Encode ends in a line feed
	return nil
}

// escaped is how many bytes s takes at most.
func escaped(s string) int {
	n, valid := len(s), utf8.ValidString(s)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			n++
		case c < 0x20 || c >= 0x7f && !valid:
			n += len(`\u0000`) - 1
		}
	}
	return n
}

func (e encoder) array(t *lua.LTable, n, depth int) error {
	e.b.WriteByte('[')
	for i := 1; i <= n; i++ {
		if i > 1 {
			e.b.WriteByte(',')
		}
		if err := e.encode(t.RawGetInt(i), depth+1); err != nil {
			return err
		}
	}
	e.b.WriteByte(']')
	return nil
}

func (e encoder) object(t *lua.LTable, depth int) error {
	var keys []string
	for k, _ := t.Next(lua.LNil); k != lua.LNil; k, _ = t.Next(k) {
		s, ok := k.(lua.LString)
		if !ok {
			return errors.New("json: a table's keys must be all strings or 1 to n")
		}
		sandbox.Spend(e.l, workOfValue)
		if len(keys) > maxJSONBytes/len(`"":0,`) {
			return errTooLarge
		}
		keys = append(keys, string(s))
	}
	sort.Strings(keys)
	e.b.WriteByte('{')
	for i, k := range keys {
		if i > 0 {
			e.b.WriteByte(',')
		}
		if err := e.text(k); err != nil {
			return err
		}
		e.b.WriteByte(':')
		if err := e.encode(t.RawGetString(k), depth+1); err != nil {
			return err
		}
	}
	e.b.WriteByte('}')
	return nil
}

func decodeJSON(L *lua.LState, dec *json.Decoder, null *lua.LUserData, depth int) (lua.LValue, error) {
	if depth > maxJSONDepth {
		return nil, errors.New("nested too deep")
	}
	sandbox.Spend(L, workOfValue)
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch tok := tok.(type) {
	case bool:
		return lua.LBool(tok), nil
	case float64:
		return lua.LNumber(tok), nil
	case string:
		return lua.LString(tok), nil
	case json.Delim:
		t := L.NewTable()
		for i := 1; dec.More(); i++ {
			if i > maxJSONList && tok == '[' {
				return nil, fmt.Errorf("a list of more than %d values", maxJSONList)
			}
			var key string
			if tok == '{' {
				k, err := dec.Token()
				if err != nil {
					return nil, err
				}
				key, _ = k.(string)
			}
			v, err := decodeJSON(L, dec, null, depth+1)
			if err != nil {
				return nil, err
			}
			if tok == '{' {
				t.RawSetString(key, v)
			} else {
				t.RawSetInt(i, v)
			}
		}
		_, err := dec.Token()
		return t, err
	}
	return null, nil
}

// Base64 is the module base64: encode(bytes), decode(text).
func Base64(L *lua.LState) *lua.LTable {
	return L.SetFuncs(L.NewTable(), map[string]lua.LGFunction{
		"encode": func(L *lua.LState) int {
			s := L.CheckString(1)
			sandbox.Spend(L, 2*len(s))
			L.Push(lua.LString(base64.StdEncoding.EncodeToString([]byte(s))))
			return 1
		},
		"decode": func(L *lua.LState) int {
			s := L.CheckString(1)
			sandbox.Spend(L, 2*len(s))
			b, err := base64.StdEncoding.DecodeString(s)
			if err != nil {
				return fail(L, err)
			}
			L.Push(lua.LString(b))
			return 1
		},
	})
}
