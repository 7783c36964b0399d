package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/credentials"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/message"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// errNoTerminal is the text stock ends with when there is no one to ask.
func errNoTerminal(prompt string) error {
	return fmt.Errorf("neither stdin nor stderr are a tty device and you have neither a controlling tty nor systemd - can't ask for '%s'.  If you used --daemon, you need to use --askpass to make passphrase-protected keys work, and you can not use --auth-nocache.", prompt) //nolint:staticcheck // the line scripts know
}

// errExhausted is the error of a client that has tried often enough.
func errExhausted(n int) error {
	return fmt.Errorf("All connections have been connect-retry-max (%d) times unsuccessful, exiting", n) //nolint:staticcheck // the line scripts know
}

// questions asks a person for passwords, at the management port or the terminal, and keeps the answers.
type questions struct {
	*report
	opts      *config.Options
	secrets   *Secrets
	terminal  func(ctx context.Context, prompt string, echo bool) (string, error) // nil: there is none
	challenge atomic.Pointer[challenge]                                           // the server's, until the next question takes it
}

// AskPassphrase gets the private key's passphrase where askpass says, unless it is known. It is called at start.
func (q *questions) AskPassphrase(ctx context.Context) error {
	if !q.opts.AsksPassphrase() {
		return nil
	}
	_, err := q.passphrase(ctx)
	return err
}

// passphrase returns the private key's passphrase: the known one, or what KeyPassphrase gets.
func (q *questions) passphrase(ctx context.Context) (string, error) {
	if p, ok := q.secrets.Passphrase(); ok {
		return p, nil
	}
	pass, err := KeyPassphrase(ctx, q.opts, q.port, q.console)
	if err != nil {
		return "", err
	}
	q.secrets.SetPassphrase(pass)
	return pass, nil
}

// PassphrasePort is a management port that may know a passphrase.
type PassphrasePort interface {
	Reachable() bool
	AskPassword(ctx context.Context, secret string) (string, error)
}

// KeyPassphrase gets the passphrase of the private key of either engine: from the file or secret of askpass, from the port under
// management-query-passwords, or from console, which asks at the terminal. A file without a first line is an error in stock's words.
func KeyPassphrase(ctx context.Context, o *config.Options, port PassphrasePort, console func(ctx context.Context, prompt string, echo bool) (string, error)) (string, error) {
	switch {
	case o.AskPass.Set() && o.AskPass.Path != "stdin":
		b, err := o.AskPass.LoadSecret(ctx)
		if err != nil {
			return "", err
		}
		pass := firstLine(b)
		if pass == "" {
			return "", fmt.Errorf("Error reading password from Private Key authfile: %s", o.AskPass) //nolint:staticcheck // stock's line
		}
		return pass, nil
	case o.ManagementQueryPasswords && port.Reachable():
		return port.AskPassword(ctx, mgmt.SecretPrivateKey)
	}
	return console(ctx, "Enter Private Key Password:", false)
}

// AskCredentials gets user name and password from where auth-user-pass says, unless they are known. It is called at
// start, and before an attempt when credentials were forgotten and auth-retry is interact.
func (q *questions) AskCredentials(ctx context.Context) error {
	if !q.opts.AuthUserPass.Enabled {
		return nil
	}
	if _, _, ok := q.secrets.login(true); ok {
		return nil
	}
	user, pass, err := q.fileCredentials(ctx)
	if err != nil {
		return err
	}
	if q.challenge.Load() != nil || user == "" || pass == "" && !q.opts.AuthUserPass.UsernameOnly || q.opts.StaticChallenge != "" {
		if user, pass, err = q.askPerson(ctx, user, pass); err != nil {
			return err
		}
	}
	q.secrets.on(func(s *credentials.Set) { s.Answered(user, pass) })
	return nil
}

// fileCredentials reads the file, block or secret of auth-user-pass: two lines, the second may be missing.
func (q *questions) fileCredentials(ctx context.Context) (user, pass string, err error) {
	src := q.opts.AuthUserPass.Source
	if !src.Set() || src.Path == "stdin" {
		return "", "", nil
	}
	b, err := src.LoadSecret(ctx)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			return "", "", fmt.Errorf("Error opening 'Auth' auth file: %s: %w", src.Path, path.Err) //nolint:staticcheck // the line scripts know
		}
		return "", "", err
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for i := 0; i < 2 && lines.Scan(); i++ {
		text := strings.TrimRight(lines.Text(), "\r")
		if i == 0 {
			user = text
		} else {
			pass = text
		}
	}
	switch {
	case user != "":
	case len(b) == 0:
		return "", "", fmt.Errorf("Error reading username from Auth authfile: %s", src) //nolint:staticcheck // the line scripts know
	default:
		return "", "", fmt.Errorf("ERROR: username from Auth authfile '%s' is empty", src) //nolint:staticcheck // the line scripts know
	}
	return printable(user), printable(pass), nil
}

// askPerson asks the management port or the terminal, with the challenge of the moment.
func (q *questions) askPerson(ctx context.Context, user, pass string) (string, string, error) {
	ch := q.challenge.Swap(nil)
	if q.opts.ManagementQueryPasswords && q.port.Reachable() {
		var static *server.Challenge
		if q.opts.StaticChallenge != "" && ch == nil {
			static = &server.Challenge{Text: q.opts.StaticChallenge, Echo: q.opts.StaticChallengeEcho, Concat: q.opts.StaticChallengeConcat}
		}
		cred, err := q.port.AskUserPass(ctx, mgmt.SecretAuth, static)
		return cred.Username, cred.Password, err
	}
	if ch != nil {
		response := ""
		var err error
		if ch.need {
			response, err = q.console(ctx, "CHALLENGE: "+ch.text, ch.echo)
		}
		return ch.user, ch.answer(response), err
	}
	var err error
	if user == "" {
		if user, err = q.console(ctx, "Enter Auth Username:", true); err != nil {
			return "", "", err
		}
	}
	if pass == "" && !q.opts.AuthUserPass.UsernameOnly {
		pass, err = q.console(ctx, "Enter Auth Password:", false)
	}
	if err != nil || q.opts.StaticChallenge == "" {
		return user, pass, err
	}
	response, err := q.console(ctx, "CHALLENGE: "+q.opts.StaticChallenge, q.opts.StaticChallengeEcho)
	if q.opts.StaticChallengeConcat {
		return user, pass + response, err
	}
	return user, staticAnswer(pass, response), err
}

func (q *questions) console(ctx context.Context, prompt string, echo bool) (string, error) {
	if q.terminal == nil {
		return "", errNoTerminal(prompt)
	}
	return q.terminal(ctx, prompt, echo)
}

// printable drops the control characters of a line up to a NUL, as stock does with what it reads from files. Bytes above 127 stay: the
// server knows a password in Latin-1 as such.
func printable(line string) string {
	line, _, _ = strings.Cut(line, "\x00")
	return hooks.Printable(line)
}

func firstLine(b []byte) string {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return strings.TrimRight(string(line), "\r")
}

// keepToken keeps a token that a server pushed, for the logins to come.
func (q *questions) keepToken(token, user string) {
	q.secrets.on(func(s *credentials.Set) { s.Pushed(token, user) })
	if token != "" {
		q.port.AuthToken(token)
	}
}

// renewToken takes a fresh token, which a server sends while a connection is up. base is the profile without pushed options.
func (q *questions) renewToken(base *config.Connection, arg string) {
	var list message.PushList
	list.Add(arg)
	o, prof := q.opts.Clone(), *base
	o.AuthToken, o.AuthTokenUser = "", ""
	if _, err := o.ApplyPushed(&prof, list.Options); err == nil {
		q.keepToken(o.AuthToken, o.AuthTokenUser)
	}
}
