package script

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/script/lib"
)

// Allow says what a script may do beside speaking to its daemon. The zero value allows nothing.
type Allow struct {
	Exec, HTTP, Env, Secret bool
	Store                   bool
	StoreFile               string   // empty: beside the script, with the ending .db
	Read                    []string // files and folders
	Write                   []string // folders
}

// Permissions are the words of --allow.
var Permissions = []string{"exec", "http", "env", "secret", "store", "store=FILE", "read=PATH", "write=FOLDER"}

// ParseAllow reads lists of permissions, separated by commas.
func ParseAllow(lists ...string) (Allow, error) {
	var a Allow
	for _, list := range lists {
		for word := range strings.SplitSeq(list, ",") {
			name, value, has := strings.Cut(word, "=")
			var err error
			if has {
				if value, err = filepath.Abs(value); err != nil {
					return a, err
				}
			}
			switch {
			case name == "exec" && !has:
				a.Exec = true
			case name == "http" && !has:
				a.HTTP = true
			case name == "env" && !has:
				a.Env = true
			case name == "secret" && !has:
				a.Secret = true
			case name == "store":
				a.Store = true
				a.StoreFile = value
			case name == "read" && has:
				a.Read = append(a.Read, value)
			case name == "write" && has:
				a.Write = append(a.Write, value)
			default:
				return a, fmt.Errorf("unknown permission %q, want %s", word, strings.Join(Permissions, ", "))
			}
		}
	}
	return a, nil
}

// need raises unless a permission is there.
func need(L *lua.LState, allowed bool, what, permission string) {
	if !allowed {
		L.RaiseError("%s is not allowed: start the script with --allow %s, or write allow %s behind it in the configuration", what, permission, permission)
	}
}

// values makes the answer of something that may fail.
func values(v lua.LValue, err error) []lua.LValue {
	if err != nil {
		return []lua.LValue{lua.LNil, lua.LString(err.Error())}
	}
	return []lua.LValue{v}
}

// tell reports under --dry-run what would be done.
func (r *runtime) tell(format string, args ...any) bool {
	if r.o.DryRun == nil {
		return false
	}
	r.o.DryRun(fmt.Sprintf(format, args...))
	return true
}

// table reads the one table argument of a function with named arguments.
func table(L *lua.LState, known ...string) *lua.LTable {
	t := L.CheckTable(1)
	t.ForEach(func(k, _ lua.LValue) {
		if name, ok := k.(lua.LString); ok && !slices.Contains(known, string(name)) {
			L.ArgError(1, "unknown field "+lib.Short(string(name))+nearest(string(name), known))
		}
	})
	return t
}
