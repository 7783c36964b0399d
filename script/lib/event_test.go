package lib

import (
	"slices"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/mgmt/wire"
	"github.com/moongate-vpn/moongate/script/meta"
)

func TestEventFields(t *testing.T) {
	L := lua.NewState()
	defer L.Close()
	for _, tt := range []struct{ line, event, field, want string }{
		{">STATE:1,RECONNECTING,SIGUSR1,,,,,", "state", "detail", "SIGUSR1"},
		{">STATE:1,CONNECTED,SUCCESS,10.0.0.2,192.0.2.1,1194,,,fd00::2", "state", "tun_ipv6", "fd00::2"},
		{">STATE:1,WAIT", "state", "tun_ipv4", "nil"},
		{">LOG:5,I,a,b,c", "log", "message", "a,b,c"},
		{">PASSWORD:Need 'Private Key' password", "password.need", "type", "Private Key"},
		{">PASSWORD:Need 'Private Key' password", "password.need", "wants_username", "false"},
		{">PASSWORD:Need 'Auth' username/password SC:1,PIN, now", "password.need", "challenge", "PIN, now"},
		{">PASSWORD:Need 'Auth' username/password SC:1,PIN", "password.need", "challenge_echo", "true"},
		{">PASSWORD:Need 'Auth' username/password SC:2,PIN", "password.need", "challenge_concat", "true"},
		{">PASSWORD:Need 'it's' username", "password.need", "type", "it's"},
		{">PASSWORD:Need 'Auth' username", "password.need", "wants_password", "false"},
		{">PASSWORD:Verification Failed: 'Auth'", "password.failed", "type", "Auth"},
		{">PASSWORD:Verification Failed: 'Auth' ['PIN 'x' wrong']", "password.failed", "reason", "PIN 'x' wrong"},
		{">PASSWORD:Auth-Token:abc", "password.token", "token", "abc"},
		{">NEED-OK:Need 'x' confirmation MSG:insert X's token MSG:", "needok", "message", "insert X's token MSG:"},
		{">NEED-STR:Need 'id' string MSG:Which?", "needstr", "type", "id"},
		{">CLIENT:CONNECT,4,1", "client.connect", "kid", "1"},
		{">CLIENT:DISCONNECT,4", "client.disconnect", "cid", "4"},
		{">CLIENT:DISCONNECT,4", "client.disconnect", "kid", "nil"},
		{">CLIENT:ADDRESS,4,10.0.0.0/255.0.0.0,0", "client.address", "virtual_address", "10.0.0.0/255.0.0.0"},
		{">CLIENT:ADDRESS,4,10.0.0.0/255.0.0.0,0", "client.address", "primary", "false"},
		{">CLIENT:CR_RESPONSE,4,1,cmVz", "client.cr_response", "response", "cmVz"},
		{">REMOTE:vpn.example,1194,udp", "remote", "port", "1194"},
		{">PROXY:1,TCP,vpn.example", "proxy", "host", "vpn.example"},
		{">PK_SIGN:aGk=,ECDSA", "sign", "algorithm", "ECDSA"},
		{">RSA_SIGN:aGk=", "sign", "algorithm", "nil"},
		{">HOLD:Waiting for hold release:10", "hold", "seconds", "10"},
		{">UPDOWN:UP", "up", "kind", "UPDOWN"},
		{">SOMETHING-NEW:x", "something-new", "text", "x"},
	} {
		n := parse(tt.line)
		ev := &Event{Name: EventName(n), Note: n}
		if ev.Name != tt.event {
			t.Errorf("%s: event %s, want %s", tt.line, ev.Name, tt.event)
		}
		if got := ev.Field(L, tt.field).String(); got != tt.want {
			t.Errorf("%s: %s = %q, want %q", tt.line, tt.field, got, tt.want)
		}
		for _, f := range meta.Fields() {
			declared := slices.Contains(meta.FieldsOf(ev.Name), f) || ev.Name == "something-new"
			if v := ev.Field(L, f); v != lua.LNil && !declared {
				t.Errorf("%s: field %s is %v, and is not declared for %s", tt.line, f, v, ev.Name)
			}
		}
	}
}

// parse makes a notification of one line, blocks without their environment.
func parse(line string) wire.Notification {
	var a wire.Assembler
	for _, l := range []string{line, ">CLIENT:ENV,END", ">UPDOWN:ENV,END"} {
		if n, ok := a.Add(l); ok {
			return n
		}
	}
	return wire.Notification{}
}

// No line of a daemon can make a field reader panic.
func FuzzEventFields(f *testing.F) {
	fields := []string{"event", "kind", "text", "env", "time", "name", "message", "type", "wants_username", "wants_password", "reason",
		"challenge", "challenge_echo", "crv1", "cid", "kid", "address", "primary", "response", "seconds", "host", "token", "algorithm"}
	for _, s := range []string{"PASSWORD:Need 'Auth' username/password SC:1,x", "PASSWORD:Verification Failed: 'Auth' ['CRV1:R:a:Yg==:c']",
		"CLIENT:CONNECT,1,2", "HOLD:", "STATE:", "NEED-OK:Need '", "UPDOWN:"} {
		f.Add(s)
	}
	L := lua.NewState()
	f.Fuzz(func(t *testing.T, s string) {
		n := parse(">" + s)
		ev := &Event{Name: EventName(n), Note: n}
		for _, name := range fields {
			if ev.Field(L, name) == nil {
				t.Errorf("%q: field %s is no Lua value", s, name)
			}
		}
	})
}

// A name that is empty is no name: ev.username or ev.common_name is the user on every server.
func TestEmptyNamesAreNone(t *testing.T) {
	L := lua.NewState()
	defer L.Close()
	n := wire.Notification{Kind: "CLIENT", Text: "CONNECT,1,1", Env: []string{"username=", "password=", "common_name=box"}}
	ev := &Event{Name: "client.connect", Note: n}
	for field, want := range map[string]string{"username": "nil", "password": "nil", "common_name": "box"} {
		if got := ev.Field(L, field).String(); got != want {
			t.Errorf("%s is %q, want %q", field, got, want)
		}
	}
}
