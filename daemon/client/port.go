package client

import (
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// port is the management port of a daemon that may have none: notifications then go nowhere. Prompts are for callers
// that have checked that there is one.
type port struct{ *server.Server }

func (p port) State(s mgmt.State) {
	if p.Server != nil {
		p.Server.State(s)
	}
}

func (p port) Echo(text string) {
	if p.Server != nil {
		p.Server.Echo(text)
	}
}

func (p port) PasswordFailed(secret, reason string) {
	if p.Server != nil {
		p.Server.PasswordFailed(secret, reason)
	}
}

func (p port) AuthToken(token string) {
	if p.Server != nil {
		p.Server.AuthToken(token)
	}
}

func (p port) InfoMsg(text string) {
	if p.Server != nil {
		p.Server.InfoMsg(text)
	}
}

func (p port) Notify(kind, text string) {
	if p.Server != nil {
		p.Server.Notify(kind, text)
	}
}

func (p port) UpDown(up bool, env []string) {
	if p.Server != nil {
		p.Server.UpDown(up, env)
	}
}
