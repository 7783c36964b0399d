package client

import (
	"context"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// Port is the management port of a client. *server.Server is one.
type Port interface {
	engine.Port
	Echo(text string)
	InfoMsg(text string)
	AuthToken(token string)
	PasswordFailed(secret, reason string)

	// Reachable reports whether a question below can find an answer.
	Reachable() bool
	AskUserPass(ctx context.Context, secret string, challenge *server.Challenge) (server.Credentials, error)
	AskPassword(ctx context.Context, secret string) (string, error)
	AskRemote(context.Context, server.Remote) (server.RemoteAnswer, error)
	AskProxy(ctx context.Context, index int, tcp bool, host string) (server.ProxyAnswer, error)
	AskCertificate(ctx context.Context, hint string) (string, error)
	NeedOK(ctx context.Context, typ, msg string) (bool, error)
	NeedStr(ctx context.Context, typ, msg string) (string, error)
	Sign(ctx context.Context, data []byte, algorithm string) ([]byte, error)
}
