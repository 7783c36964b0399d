package env

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/target"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/secret"
)

// ClientOptions are the options of a connection to t as the flags and the file of targets ask for them.
func (e *Env) ClientOptions(t target.Target) (client.Options, error) {
	o := client.Options{DialTimeout: e.Timeout, GreetingTimeout: e.Timeout, ReplyTimeout: e.Timeout}
	ref, file := e.Password, e.PasswordFile
	if ref == "" && file == "" {
		ref = t.Password
	}
	if ref == "" && file == "" {
		file = e.Getenv("MOONGATE_PASSWORD_FILE")
	}
	if ref != "" {
		if err := secret.Check(ref); err != nil {
			if !secret.IsRef(ref) {
				return o, Usagef("--password takes a reference (%s:…), never the password itself: every user of the machine sees arguments", strings.Join(secret.Schemes(), ":…, "))
			}
			return o, Usagef("%v", err)
		}
	}
	switch {
	case ref != "":
		o.Password = func(ctx context.Context) (string, error) {
			return secret.Resolve(ctx, ref, secret.Options{Getenv: e.Getenv})
		}
	case file != "":
		o.Password = func(context.Context) (string, error) {
			text, err := FirstLine(file)
			if err != nil {
				return "", Usagef("password file: %v", err)
			}
			return text, nil
		}
	case e.mayAsk(t):
		o.Password = func(ctx context.Context) (string, error) { return e.askPassword(ctx, t) }
	}
	var err error
	o.TLS, err = e.tls(t)
	return o, err
}

// mayAsk reports whether a password can be had from a person, or was had before.
func (e *Env) mayAsk(t target.Target) bool {
	e.asked.Lock()
	defer e.asked.Unlock()
	_, have := e.asked.typed[t.Address]
	return have || e.MayAsk()
}

// MayAsk reports whether there is a person to ask.
func (e *Env) MayAsk() bool {
	return e.AskHidden != nil && !e.NoAsk && e.Getenv("MOONGATE_NO_ASK") == ""
}

// Adopt makes t, which from has reached, the target of e, with what was typed for it.
func (e *Env) Adopt(from *Env, t target.Target) {
	e.SetTarget(t)
	from.asked.Lock()
	defer from.asked.Unlock()
	e.asked.Lock()
	defer e.asked.Unlock()
	if text, ok := from.asked.typed[t.Address]; ok {
		if e.asked.typed == nil {
			e.asked.typed = make(map[string]string)
		}
		e.asked.typed[t.Address] = text
	}
}

// askPassword asks the person at the terminal, once for each target.
func (e *Env) askPassword(ctx context.Context, t target.Target) (string, error) {
	e.asked.Lock()
	defer e.asked.Unlock()
	if text, ok := e.asked.typed[t.Address]; ok {
		return text, nil
	}
	text, err := e.AskHidden(ctx, "management password of "+t.Name+": ")
	if err != nil {
		return "", err
	}
	if e.asked.typed == nil {
		e.asked.typed = make(map[string]string)
	}
	e.asked.typed[t.Address] = text
	return text, nil
}

// forgetPassword forgets what was typed for a target that refused it.
func (e *Env) forgetPassword(t target.Target) {
	e.asked.Lock()
	defer e.asked.Unlock()
	delete(e.asked.typed, t.Address)
}

// FirstLine reads the first line of a file, without its end or a byte order mark.
func FirstLine(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(strings.TrimPrefix(string(b), "\ufeff"), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}

// Dial opens a session with the target.
func (e *Env) Dial(ctx context.Context) (*client.Client, error) { return e.DialTraced(ctx, nil) }

// DialTraced is Dial with a client.Options.Trace.
func (e *Env) DialTraced(ctx context.Context, trace func(fromDaemon bool, line string)) (*client.Client, error) {
	t, err := e.Target()
	if err != nil {
		return nil, err
	}
	o, err := e.ClientOptions(t)
	if err != nil {
		return nil, err
	}
	o.Trace = trace
	c, err := e.dial(ctx, t, o)
	if errors.Is(err, client.ErrPassword) {
		e.forgetPassword(t)
	}
	return c, err
}

func (e *Env) dial(ctx context.Context, t target.Target, o client.Options) (*client.Client, error) {
	if target.IsFleet(t.Address) {
		dialing, cancel := context.WithTimeout(ctx, e.Timeout)
		defer cancel()
		conn, err := target.DialFleet(dialing, t)
		return e.speak(ctx, t, o, conn, err)
	}
	if !target.IsSSH(t.Address) {
		if _, err := client.ParseAddr(t.Address); err != nil {
			return nil, Usagef("%v", err)
		}
		return client.Dial(ctx, t.Address, o)
	}
	far, err := target.ParseSSH(t.Address)
	if err != nil {
		return nil, Usagef("%v", err)
	}
	o.Use = far.Use
	conn, err := far.Dial(ctx, e.Timeout, e.AskHidden == nil || e.NoAsk)
	return e.speak(ctx, t, o, conn, err)
}

// speak begins a session over a connection, or says why there is none.
func (e *Env) speak(ctx context.Context, t target.Target, o client.Options, conn net.Conn, err error) (*client.Client, error) {
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &client.UnreachableError{Addr: t.Address, Err: err}
	}
	c, err := client.New(ctx, conn, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Address, err)
	}
	return c, nil
}

// With runs f on a session that is closed afterwards, or on Session, which stays open.
func (e *Env) With(ctx context.Context, f func(ctx context.Context, c *client.Client) error) error {
	if e.Session != nil {
		return f(ctx, e.Session)
	}
	c, err := e.Dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return f(ctx, c)
}
