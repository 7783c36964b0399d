package script

import (
	"maps"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/script/lib"
)

// login is a key of a client that waits for a verdict.
type login struct{ cid, kid string }

// deciding holds the logins that a script decides about.
type deciding struct {
	undecided map[login]bool       // that handlers at work have said nothing about
	denied    map[string]time.Time // clients that were refused of late, by cid
}

// asksFor notes that the handlers of an event have to decide about a login.
func (r *runtime) asksFor(t *task) {
	ud, ok := t.event.(*lua.LUserData)
	if !ok {
		return
	}
	ev, ok := ud.Value.(*lib.Event)
	if !ok || ev.Name != "client.connect" && ev.Name != "client.reauth" {
		return
	}
	t.login = login{field(r.L.LState, ev, "cid"), field(r.L.LState, ev, "kid")}
	if r.undecided == nil {
		r.undecided = make(map[login]bool)
	}
	r.undecided[t.login] = true
}

// decides notes the verdict that a command gives, or that it leaves it to another step.
func (r *runtime) decides(line string) {
	if !strings.HasPrefix(line, "client-") {
		return
	}
	words := strings.Fields(line)
	if len(words) > 1 && words[0] == "client-deny" {
		r.noteDenied(words[1])
	}
	switch {
	case len(words) < 2:
	case words[0] == "client-kill":
		for l := range r.undecided {
			if l.cid == words[1] {
				delete(r.undecided, l)
			}
		}
	case len(words) > 2:
		delete(r.undecided, login{words[1], words[2]})
	}
}

// deniedTime is how long a refused client may still be listed: until it has asked for the answer, and some seconds more.
const deniedTime = time.Minute

// noteDenied notes that a client was refused. Stock tells it when it asks: a client that is killed before waits for its own time-out.
func (r *runtime) noteDenied(cid string) {
	if r.denied == nil {
		r.denied = make(map[string]time.Time)
	}
	if len(r.denied) >= maxRecent {
		maps.DeleteFunc(r.denied, func(_ string, at time.Time) bool { return r.now().Sub(at) > deniedTime })
	}
	r.denied[cid] = r.now()
}

// wasDenied tells the verbs whether a client of the list was refused: kill leaves it alone.
func (r *runtime) wasDenied(L *lua.LState) int {
	at, ok := r.denied[lua.LVAsString(L.Get(1))]
	L.Push(lua.LBool(ok && r.now().Sub(at) <= deniedTime))
	return 1
}

// refuseUnanswered ends what asksFor began. A login whose handlers failed, and said nothing about it, is refused: its client would wait in vain.
func (r *runtime) refuseUnanswered(t *task) {
	if t.login.cid == "" {
		return
	}
	open := r.undecided[t.login]
	delete(r.undecided, t.login)
	if !open || !t.failedCall || r.c == nil || r.stopped {
		return
	}
	r.log.Warn("refused, as the script failed", "cid", t.login.cid)
	c, line := r.c, client.Line("client-deny", t.login.cid, t.login.kid, "the script failed", "TEMP:temporarily unavailable, try again")
	r.underWay++
	r.ops.Go(func() {
		_, err := c.Start(r.base, line)(r.base)
		r.post(func() {
			r.underWay--
			if err != nil {
				r.log.Warn("not refused", "cid", t.login.cid, "err", err)
			}
		})
	})
}
