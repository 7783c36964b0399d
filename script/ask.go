package script

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// Question goes from a script of a daemon to the seats of its management port.
type Question struct {
	Text    bool // a NEED-STR question, else NEED-OK
	Name    string
	Message string
}

// errAttached answers an attached script.
var errAttached = errors.New("questions are for scripts of the daemon (script FILE in its configuration)")

var questionName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// maxQuestion is the longest message, in bytes.
const maxQuestion = 500

// question makes ask_ok(name, text) and ask_string(name, text): true or false, or the text; nil and why there is no answer.
func (r *runtime) question(wantsText bool) lua.LGFunction {
	return func(L *lua.LState) int {
		q := Question{wantsText, L.CheckString(1), L.CheckString(2)}
		if !questionName.MatchString(q.Name) {
			L.ArgError(1, "want a name of letters, digits, dots, underscores and dashes")
		}
		if len(q.Message) > maxQuestion || strings.ContainsFunc(q.Message, func(c rune) bool { return c < 0x20 || c == 0x7f }) {
			L.ArgError(2, "want one line of at most 500 bytes")
		}
		ask := r.o.Ask
		return r.await(L, false, 0, func(ctx context.Context) func() []lua.LValue {
			answer, err := "", errAttached
			select {
			case r.asking <- struct{}{}:
				defer func() { <-r.asking }()
				if ask != nil {
					answer, err = ask(ctx, q)
				}
			default:
				err = fmt.Errorf("%d questions of this script are open", maxAtOnce)
			}
			return func() []lua.LValue {
				if q.Text {
					return values(lua.LString(answer), err)
				}
				return values(lua.LBool(answer == "ok"), err)
			}
		})
	}
}
