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

	lua "github.com/yuin/gopher-lua"
)

// Limits of JSON values in either direction.
const (
	maxJSONDepth = 64
	maxJSONBytes = 4 << 20
)

// JSON is the module json: encode(value) and decode(text). Tables with the keys 1..n are arrays, an empty table is an
// object, json.null stands for null.
func JSON(L *lua.LState) *lua.LTable {
	null := L.NewUserData()
	mod := L.NewTable()
	mod.RawSetString("null", null)
	L.SetFuncs(mod, map[string]lua.LGFunction{
		"encode": func(L *lua.LState) int {
			var b bytes.Buffer
			if err := encodeJSON(&b, L.CheckAny(1), null, 0); err != nil {
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

func encodeJSON(b *bytes.Buffer, v lua.LValue, null *lua.LUserData, depth int) error {
	if depth > maxJSONDepth {
		return errors.New("json: nested too deep")
	}
	if b.Len() > maxJSONBytes {
		return errors.New("json: value too large")
	}
	switch v := v.(type) {
	case *lua.LNilType:
		b.WriteString("null")
	case lua.LBool:
		fmt.Fprint(b, bool(v))
	case lua.LNumber:
		f := float64(v)
		if math.IsInf(f, 0) || math.IsNaN(f) {
			return errors.New("json: not a finite number")
		}
		if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			fmt.Fprintf(b, "%d", int64(f))
			return nil
		}
		x, _ := json.Marshal(f)
		b.Write(x)
	case lua.LString:
		encodeString(b, string(v))
	case *lua.LUserData:
		if v != null {
			return errors.New("json: cannot encode a userdata")
		}
		b.WriteString("null")
	case *lua.LTable:
		if n := v.Len(); n > 0 {
			return encodeArray(b, v, n, null, depth)
		}
		return encodeObject(b, v, null, depth)
	default:
		return fmt.Errorf("json: cannot encode a %s", v.Type())
	}
	return nil
}

func encodeString(b *bytes.Buffer, s string) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	enc.Encode(s)
	b.Truncate(b.Len() - 1) // Encode ends in a line feed
}

func encodeArray(b *bytes.Buffer, t *lua.LTable, n int, null *lua.LUserData, depth int) error {
	b.WriteByte('[')
	for i := 1; i <= n; i++ {
		if i > 1 {
			b.WriteByte(',')
		}
		if err := encodeJSON(b, t.RawGetInt(i), null, depth+1); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	return nil
}

func encodeObject(b *bytes.Buffer, t *lua.LTable, null *lua.LUserData, depth int) error {
	var keys []string
	bad := false
	t.ForEach(func(k, _ lua.LValue) {
		if s, ok := k.(lua.LString); ok {
			keys = append(keys, string(s))
		} else {
			bad = true
		}
	})
	if bad {
		return errors.New("json: a table's keys must be all strings or 1 to n")
	}
	sort.Strings(keys)
	b.WriteByte('{')
	for i, k := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		encodeString(b, k)
		b.WriteByte(':')
		if err := encodeJSON(b, t.RawGetString(k), null, depth+1); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

func decodeJSON(L *lua.LState, dec *json.Decoder, null *lua.LUserData, depth int) (lua.LValue, error) {
	if depth > maxJSONDepth {
		return nil, errors.New("nested too deep")
	}
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
			L.Push(lua.LString(base64.StdEncoding.EncodeToString([]byte(L.CheckString(1)))))
			return 1
		},
		"decode": func(L *lua.LState) int {
			b, err := base64.StdEncoding.DecodeString(L.CheckString(1))
			if err != nil {
				return fail(L, err)
			}
			L.Push(lua.LString(b))
			return 1
		},
	})
}
