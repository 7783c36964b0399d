package credentials

import (
	"fmt"
	"strings"
	"testing"
)

// life plays events on a Set and writes down what each login carries. Asking is answered with u1 p1, u2 p2 and so on.
type life struct {
	Set
	asked, nocache, interact bool
	answers                  int
	said                     []string
}

func (l *life) say(format string, args ...any) { l.said = append(l.said, fmt.Sprintf(format, args...)) }

func (l *life) event(name string) {
	switch name {
	case "login": // a connection or a renegotiation
		if _, _, ok := l.Login(l.asked); !ok {
			l.answers++
			l.Answered(fmt.Sprintf("u%d", l.answers), fmt.Sprintf("p%d", l.answers))
			l.say("ask")
		}
		user, pass, _ := l.Login(l.asked)
		l.say("%s/%s", user, pass)
		l.Sent(l.nocache)
	case "token":
		l.Pushed("T", "")
	case "token+user":
		l.Pushed("T", "U")
	case "refuse":
		if l.Refused(l.asked, l.interact) {
			l.say("drop token")
		}
	case "RESTART":
		l.Reset()
	case "forget":
		l.Forget()
	case "key":
		if _, ok := l.Passphrase(); !ok {
			l.answers++
			l.OpenedWith(fmt.Sprintf("p%d", l.answers))
			l.say("ask key")
		}
		pass, _ := l.Passphrase()
		l.say("%s", pass)
		l.KeyLoaded(l.nocache)
	case "wrong key":
		l.KeyRefused()
	case "proxy":
		user, pass, ok := l.Proxy()
		if !ok {
			l.answers++
			user, pass = fmt.Sprintf("u%d", l.answers), fmt.Sprintf("p%d", l.answers)
			l.ProxyAnswered(user, pass, l.nocache)
			l.say("ask proxy")
		}
		l.say("%s/%s", user, pass)
	case "wrong proxy":
		l.ProxyRefused()
	default:
		panic(name)
	}
}

// The table of the package, event by event. Each row was played to the stock daemon first.
func TestLife(t *testing.T) {
	const (
		asked = 1 << iota
		nocache
		interact
	)
	for _, tt := range []struct {
		how    int
		events string
		want   string
	}{
		// No token.
		{asked, "login,login,login", "ask,u1/p1,u1/p1,u1/p1"},
		{asked | nocache, "login,login,login", "ask,u1/p1,ask,u2/p2,ask,u3/p3"},
		{0, "login,login", "/,/"},
		{asked, "login,forget,login", "ask,u1/p1,ask,u2/p2"},
		{asked, "login,RESTART,login,login", "ask,u1/p1,ask,u2/p2,u2/p2"},
		{asked, "login,refuse,login", "ask,u1/p1,u1/p1"},
		{asked | nocache, "login,refuse,login", "ask,u1/p1,ask,u2/p2"},
		{asked | interact, "login,refuse,login", "ask,u1/p1,ask,u2/p2"},
		{interact, "login,refuse,login", "/,/"},
		// A token goes with the login's user name.
		{asked, "login,token,login,login", "ask,u1/p1,u1/T,u1/T"},
		{asked | nocache, "login,token,login,token,login", "ask,u1/p1,u1/T,u1/T"},
		{asked, "login,token,refuse,login", "ask,u1/p1,drop token,u1/p1"},
		{asked | interact, "login,token,refuse,login,token,login", "ask,u1/p1,drop token,u1/p1,u1/T"},
		{asked | nocache, "login,token,login,refuse,login,token,login", "ask,u1/p1,u1/T,drop token,ask,u2/p2,u2/T"},
		{asked, "login,token,forget,login", "ask,u1/p1,ask,u2/p2"},
		{asked | nocache, "login,token,forget,login", "ask,u1/p1,ask,u2/p2"},
		{asked, "login,token,forget,token,login", "ask,u1/p1,ask,u2/p2"}, // a renewal that comes too late has no user name
		{asked, "login,token,RESTART,login,refuse,login", "ask,u1/p1,u1/T,drop token,ask,u2/p2"},
		{asked | interact, "login,token,login,refuse,refuse,login", "ask,u1/p1,u1/T,drop token,ask,u2/p2"},
		{interact, "login,token,login,refuse,login", "/,/,/"}, // nobody it could belong to
		// A token with a user name of its own.
		{asked, "login,token+user,login,token,login", "ask,u1/p1,U/T,U/T"},
		{asked | nocache, "login,token+user,login,login", "ask,u1/p1,U/T,U/T"},
		{asked, "login,token+user,login,refuse,login,token,login", "ask,u1/p1,U/T,drop token,u1/p1,u1/T"},
		{asked | nocache, "login,token+user,refuse,login", "ask,u1/p1,drop token,ask,u2/p2"},
		{asked, "login,token+user,RESTART,login,refuse,login", "ask,u1/p1,U/T,drop token,ask,u2/p2"},
		{asked, "login,token+user,forget,login", "ask,u1/p1,ask,u2/p2"},
		{0, "login,token+user,login,login", "/,U/T,U/T"},
		{nocache, "login,token+user,login,RESTART,login", "/,U/T,U/T"},
		{interact, "login,token+user,login,refuse,login", "/,U/T,drop token,/"},
		{0, "login,token+user,forget,login", "/,/"},
		// The passphrase of the private key.
		{0, "key,key,RESTART,key", "ask key,p1,p1,p1"},
		{nocache, "key,key", "ask key,p1,ask key,p2"},
		{0, "key,forget,key,wrong key,key", "ask key,p1,ask key,p2,ask key,p3"},
		{asked | interact, "key,login,refuse,key", "ask key,p1,ask,u2/p2,p1"},
		// The proxy's.
		{asked, "proxy,login,forget,proxy,login,RESTART,proxy", "ask proxy,u1/p1,ask,u2/p2,u1/p1,ask,u3/p3,u1/p1"},
		{nocache, "proxy,proxy", "ask proxy,u1/p1,ask proxy,u2/p2"},
		{0, "proxy,wrong proxy,proxy", "ask proxy,u1/p1,ask proxy,u2/p2"},
	} {
		l := &life{asked: tt.how&asked != 0, nocache: tt.how&nocache != 0, interact: tt.how&interact != 0}
		for e := range strings.SplitSeq(tt.events, ",") {
			l.event(e)
		}
		if got := strings.Join(l.said, ","); got != tt.want {
			t.Errorf("asked %v, nocache %v, interact %v: %s\n got %s\nwant %s", l.asked, l.nocache, l.interact, tt.events, got, tt.want)
		}
	}
}

func TestNotLogged(t *testing.T) {
	s := &Set{}
	s.Answered("joe", "sesame")
	if got := s.LogValue().String(); strings.Contains(got, "sesame") {
		t.Errorf("logged as %s", got)
	}
}
