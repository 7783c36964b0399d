package lib

import (
	"encoding/base64"
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

// names of events whose kind says it all.
var names = map[string]string{
	mgmt.KindState: "state", mgmt.KindLog: "log", mgmt.KindEcho: "echo", mgmt.KindHold: "hold", mgmt.KindFatal: "fatal",
	mgmt.KindByteCount: "bytecount", mgmt.KindByteCountClient: "client.bytecount", mgmt.KindNeedOK: "needok",
	mgmt.KindNeedStr: "needstr", mgmt.KindRemote: "remote", mgmt.KindProxy: "proxy", mgmt.KindNotify: "notify",
	mgmt.KindInfoMsg: "infomsg", mgmt.KindNeedCertificate: "certificate.need", mgmt.KindPKSign: "sign",
	mgmt.KindRSASign: "sign", mgmt.KindInfo: "info",
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
	seen := make(map[string]bool)
	for _, m := range []map[string]string{names, clientEvents} {
		for _, n := range m {
			if !seen[n] {
				seen[n] = true
				all = append(all, n)
			}
		}
	}
	return all
}

// EventName is the event a notification stands for; unknown kinds are named by their lower-case kind.
func EventName(n wire.Notification) string {
	if name, ok := names[n.Kind]; ok {
		return name
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
		switch {
		case strings.HasPrefix(n.Text, "Need "):
			return "password.need"
		case strings.HasPrefix(n.Text, "Auth-Token:"):
			return "password.token"
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
		return pick(e.Note.Text, 2, name, "bytes_in", "bytes_out")
	case mgmt.KindByteCountClient:
		return pick(e.Note.Text, 3, name, "cid", "bytes_in", "bytes_out")
	case mgmt.KindRemote:
		return pick(e.Note.Text, 3, name, "host", "port", "proto")
	case mgmt.KindProxy:
		return pick(e.Note.Text, 3, name, "index", "proto", "host")
	case mgmt.KindNotify:
		return pick(e.Note.Text, 3, name, "severity", "type", "message")
	case mgmt.KindInfoMsg, mgmt.KindFatal, mgmt.KindInfo:
		return pick(e.Note.Text, 1, name, "message")
	case mgmt.KindNeedCertificate:
		return pick(e.Note.Text, 1, name, "hint")
	case mgmt.KindPKSign, mgmt.KindRSASign:
		return pick(e.Note.Text, 2, name, "data", "algorithm")
	case mgmt.KindHold:
		if name == "seconds" {
			return number(e.Note.Text[strings.LastIndexByte(e.Note.Text, ':')+1:])
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
	"time": true, "bytes_in": true, "bytes_out": true, "cid": true, "kid": true, "index": true, "port": true, "remote_port": true, "local_port": true,
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

// quoted returns what stands between the first pair of single quotes that the rest of the grammar allows: up to the last
// quote followed by one of ends.
func quoted(s string, ends ...string) (inner, rest string) {
	_, s, ok := strings.Cut(s, "'")
	if !ok {
		return "", s
	}
	for _, e := range ends {
		if i := strings.Index(s, "'"+e); i >= 0 {
			return s[:i], s[i+1:]
		}
	}
	inner, rest, _ = strings.Cut(s, "'")
	return inner, rest
}

// needField reads "Need 'TYPE' confirmation MSG:TEXT".
func needField(text, name string) lua.LValue {
	typ, rest := quoted(text, " confirmation MSG:", " string MSG:", " input MSG:")
	switch name {
	case "type":
		return lua.LString(typ)
	case "message":
		_, msg, _ := strings.Cut(rest, "MSG:")
		return lua.LString(msg)
	}
	return lua.LNil
}

// passwordField reads the forms of PASSWORD.
//
//	Need 'TYPE' username/password[ SC:FLAGS,TEXT]
//	Need 'TYPE' password
//	Verification Failed: 'TYPE'[ ['REASON']]
//	Auth-Token:TOKEN
func passwordField(text, name string) lua.LValue {
	if token, ok := strings.CutPrefix(text, "Auth-Token:"); ok {
		if name == "token" {
			return lua.LString(token)
		}
		return lua.LNil
	}
	typ, rest := quoted(text, " username", " password", " ['")
	what, challenge, hasChallenge := strings.Cut(rest, " SC:")
	flags, prompt, _ := strings.Cut(challenge, ",")
	switch name {
	case "type":
		return lua.LString(typ)
	case "wants_username":
		return lua.LBool(strings.HasPrefix(what, " username"))
	case "wants_password":
		return lua.LBool(strings.HasSuffix(what, "password"))
	case "reason":
		if r, ok := strings.CutPrefix(rest, " ['"); ok {
			return lua.LString(strings.TrimSuffix(r, "']"))
		}
	case "challenge":
		if hasChallenge {
			return lua.LString(prompt)
		}
	case "challenge_echo":
		return lua.LBool(hasChallenge && (flags == "1" || flags == "3"))
	case "challenge_concat":
		return lua.LBool(hasChallenge && (flags == "2" || flags == "3"))
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
	case "address":
		if head == mgmt.ClientAddress {
			return pick(rest, 3, name, "cid", "address", "primary")
		}
	case "primary":
		if head == mgmt.ClientAddress {
			return lua.LBool(strings.HasSuffix(n.Text, ",1"))
		}
	case "username", "password", "common_name":
		if v, ok := n.Lookup(name); ok {
			return lua.LString(v)
		}
	}
	return lua.LNil
}

// crv1 reads a dynamic challenge in the reason of a failed verification.
//
//	CRV1:FLAGS:STATE ID:BASE64 USERNAME:TEXT
func crv1(L *lua.LState, text string) lua.LValue {
	reason, ok := passwordField(text, "reason").(lua.LString)
	f := strings.SplitN(string(reason), ":", 5)
	if !ok || len(f) < 5 || f[0] != "CRV1" {
		return lua.LNil
	}
	user, err := base64.StdEncoding.DecodeString(f[3])
	if err != nil {
		return lua.LNil
	}
	t := L.NewTable()
	t.RawSetString("echo", lua.LBool(strings.Contains(f[1], "E")))
	t.RawSetString("state_id", lua.LString(f[2]))
	t.RawSetString("username", lua.LString(user))
	t.RawSetString("text", lua.LString(f[4]))
	return t
}
