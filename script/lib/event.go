package lib

import (
	"maps"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/wire"
)

// Event is the value handlers get. Its fields are read from the notification when the script asks for them.
type Event struct {
	Name string // "state", "client.connect", …
	Note wire.Notification
}

// clientEvents are the events of the CLIENT family by the head line's first word.
var clientEvents = map[string]string{
	mgmt.ClientConnect: "client.connect", mgmt.ClientReauth: "client.reauth", mgmt.ClientAddress: "client.address",
	mgmt.ClientEstablished: "client.established", mgmt.ClientDisconnect: "client.disconnect",
	mgmt.ClientCRResponse: "client.cr_response",
}

// EventNames are the names moongate.on accepts, without "*". The last two are made by the runtime.
func EventNames() []string {
	all := []string{"up", "down", "password.need", "password.failed", "password.token", "connected", "lost"}
	for _, k := range mgmt.Kinds() {
		if k.Lua != "" && !slices.Contains(all, k.Lua) {
			all = append(all, k.Lua)
		}
	}
	return slices.AppendSeq(all, maps.Values(clientEvents))
}

// EventName is the event a notification stands for; unknown kinds are named by their lower-case kind.
func EventName(n wire.Notification) string {
	if k := mgmt.LookupKind(n.Kind); k != nil && k.Lua != "" {
		return k.Lua
	}
	switch n.Kind {
	case mgmt.KindClient:
		head, _, _ := strings.Cut(n.Text, ",")
		if name, ok := clientEvents[head]; ok {
			return name
		}
	case mgmt.KindUpDown:
		return strings.ToLower(n.Text)
	case mgmt.KindPassword:
		if _, ok := mgmt.ParseAuthToken(n.Text); ok {
			return "password.token"
		}
		if _, err := mgmt.ParseNeed(n.Text); err == nil {
			return "password.need"
		}
		return "password.failed"
	}
	return strings.ToLower(n.Kind)
}

// Field returns a field of the event, nil when this kind of event has none of that name.
func (e *Event) Field(L *lua.LState, name string) lua.LValue {
	switch name {
	case "event":
		return lua.LString(e.Name)
	case "kind":
		return lua.LString(e.Note.Kind)
	case "text":
		return lua.LString(e.Note.Text)
	case "env":
		t := L.NewTable()
		for _, v := range e.Note.Env {
			k, v, _ := strings.Cut(v, "=")
			t.RawSetString(k, lua.LString(v))
		}
		return t
	}
	switch e.Note.Kind {
	case mgmt.KindState:
		return pick(e.Note.Text, 9, name, "time", "name", "detail", "tun_ipv4", "remote_addr", "remote_port", "local_addr", "local_port", "tun_ipv6")
	case mgmt.KindLog:
		return pick(e.Note.Text, 3, name, "time", "flags", "message")
	case mgmt.KindEcho:
		return pick(e.Note.Text, 2, name, "time", "message")
	case mgmt.KindByteCount:
		return pick(e.Note.Text, 2, name, "bytes_received", "bytes_sent")
	case mgmt.KindByteCountClient:
		return pick(e.Note.Text, 3, name, "cid", "bytes_received", "bytes_sent")
	case mgmt.KindRemote:
		return remoteField(e.Note.Text, name)
	case mgmt.KindProxy:
		return proxyField(e.Note.Text, name)
	case mgmt.KindNotify:
		return pick(e.Note.Text, 3, name, "severity", "type", "message")
	case mgmt.KindInfoMsg, mgmt.KindFatal, mgmt.KindInfo:
		return pick(e.Note.Text, 1, name, "message")
	case mgmt.KindNeedCertificate:
		return pick(e.Note.Text, 1, name, "hint")
	case mgmt.KindPKSign, mgmt.KindRSASign:
		return pick(e.Note.Text, 2, name, "data", "algorithm")
	case mgmt.KindHold:
		if wait, err := mgmt.ParseHold(e.Note.Text); name == "seconds" && err == nil {
			return lua.LNumber(wait.Seconds())
		}
	case mgmt.KindNeedOK, mgmt.KindNeedStr:
		return needField(e.Note.Text, name)
	case mgmt.KindPassword:
		if name == "crv1" {
			return crv1(L, e.Note.Text)
		}
		return passwordField(e.Note.Text, name)
	case mgmt.KindClient:
		return clientField(e.Note, name)
	}
	return lua.LNil
}

// numeric are the fields handed out as numbers.
var numeric = map[string]bool{
	"time": true, "bytes_received": true, "bytes_sent": true, "cid": true, "kid": true, "index": true, "port": true, "remote_port": true, "local_port": true,
}

// pick returns the comma-separated field that name has in fields; the last of n keeps its commas.
func pick(text string, n int, name string, fields ...string) lua.LValue {
	for i, f := range fields {
		if f != name {
			continue
		}
		for range i {
			_, rest, ok := strings.Cut(text, ",")
			if !ok {
				return lua.LNil
			}
			text = rest
		}
		if i < n-1 {
			text, _, _ = strings.Cut(text, ",")
		}
		if numeric[name] {
			return number(text)
		}
		return lua.LString(text)
	}
	return lua.LNil
}

func number(s string) lua.LValue {
	if s == "" {
		return lua.LNil
	}
	var n float64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return lua.LNil
		}
		n = n*10 + float64(s[i]-'0')
	}
	return lua.LNumber(n)
}

func remoteField(text, name string) lua.LValue {
	r, err := mgmt.ParseRemote(text)
	if err != nil {
		return lua.LNil
	}
	switch name {
	case "host":
		return lua.LString(r.Host)
	case "port":
		return number(r.Port)
	case "proto":
		return lua.LString(r.Proto)
	}
	return lua.LNil
}

func proxyField(text, name string) lua.LValue {
	p, err := mgmt.ParseProxy(text)
	if err != nil {
		return lua.LNil
	}
	switch name {
	case "index":
		return lua.LNumber(p.Index)
	case "proto":
		if p.TCP {
			return lua.LString("TCP")
		}
		return lua.LString("UDP")
	case "host":
		return lua.LString(p.Host)
	}
	return lua.LNil
}

// needField reads NEED-OK and NEED-STR.
func needField(text, name string) lua.LValue {
	q, err := mgmt.ParseQuestion(text)
	switch {
	case err != nil:
	case name == "type":
		return lua.LString(q.Type)
	case name == "message":
		return lua.LString(q.Text)
	}
	return lua.LNil
}

// passwordField reads the forms of PASSWORD: a token, a prompt, a refusal.
func passwordField(text, name string) lua.LValue {
	if token, ok := mgmt.ParseAuthToken(text); ok {
		if name == "token" {
			return lua.LString(token)
		}
		return lua.LNil
	}
	if n, err := mgmt.ParseNeed(text); err == nil {
		return promptField(n, name)
	}
	f, err := mgmt.ParseFailed(text)
	switch {
	case err != nil:
	case name == "type":
		return lua.LString(f.Type)
	case name == "reason" && f.Reason != "":
		return lua.LString(f.Reason)
	case name == "wants_username", name == "wants_password", name == "challenge_echo", name == "challenge_concat":
		return lua.LFalse
	}
	return lua.LNil
}

// promptField is a field of a prompt for a secret.
func promptField(n mgmt.Need, name string) lua.LValue {
	c := n.Challenge
	switch name {
	case "type":
		return lua.LString(n.Type)
	case "wants_username":
		return lua.LBool(n.Username)
	case "wants_password":
		return lua.LBool(n.Password)
	case "challenge":
		if c != nil {
			return lua.LString(c.Text)
		}
	case "challenge_echo":
		return lua.LBool(c != nil && c.Echo)
	case "challenge_concat":
		return lua.LBool(c != nil && c.Concat)
	}
	return lua.LNil
}

// clientField reads the head line and the environment of a CLIENT event.
func clientField(n wire.Notification, name string) lua.LValue {
	head, rest, _ := strings.Cut(n.Text, ",")
	switch name {
	case "cid":
		return pick(rest, 2, name, "cid", "")
	case "kid":
		if head == mgmt.ClientConnect || head == mgmt.ClientReauth || head == mgmt.ClientCRResponse {
			return pick(rest, 3, name, "cid", "kid")
		}
	case "response":
		if head == mgmt.ClientCRResponse {
			return pick(rest, 3, name, "cid", "kid", "response")
		}
	case "virtual_address":
		if head == mgmt.ClientAddress {
			return pick(rest, 3, name, "cid", "virtual_address", "primary")
		}
	case "primary":
		if head == mgmt.ClientAddress {
			return lua.LBool(strings.HasSuffix(n.Text, ",1"))
		}
	case "username", "password", "common_name":
		if v, _ := n.Lookup(name); v != "" { // a server without usernames tells of empty ones
			return lua.LString(v)
		}
	}
	return lua.LNil
}

// crv1 reads a dynamic challenge in the reason of a failed verification.
func crv1(L *lua.LState, text string) lua.LValue {
	f, err := mgmt.ParseFailed(text)
	if err != nil {
		return lua.LNil
	}
	c, ok := mgmt.ParseDynamicChallenge(f.Reason)
	if !ok {
		return lua.LNil
	}
	t := L.NewTable()
	t.RawSetString("echo", lua.LBool(c.Echo))
	t.RawSetString("state_id", lua.LString(c.State))
	t.RawSetString("username", lua.LString(c.Username))
	t.RawSetString("text", lua.LString(c.Text))
	return t
}
