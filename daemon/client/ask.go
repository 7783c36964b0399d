package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/credentials"
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

// AskPassphrase gets the private key's passphrase where askpass says, unless it is known. It is called at start.
func (c *Client) AskPassphrase(ctx context.Context) error {
	if !c.opts.AskPass.Set() && !c.opts.AskPassAsk {
		return nil
	}
	_, err := c.passphrase(ctx)
	return err
}

// passphrase returns the private key's passphrase: the known one, askpass's file or secret, or an answer from the port or terminal.
func (c *Client) passphrase(ctx context.Context) (string, error) {
	if p, ok := c.secrets.Passphrase(); ok {
		return p, nil
	}
	var pass string
	var err error
	switch {
	case c.opts.AskPass.Set() && c.opts.AskPass.Path != "stdin":
		var b []byte
		if b, err = c.opts.AskPass.LoadSecret(ctx); err == nil {
			pass = firstLine(b)
		}
	case c.opts.ManagementQueryPasswords && c.port.Reachable():
		pass, err = c.port.AskPassword(ctx, mgmt.SecretPrivateKey)
	default:
		pass, err = c.console(ctx, "Enter Private Key Password:", false)
	}
	if err != nil {
		return "", err
	}
	c.secrets.SetPassphrase(pass)
	return pass, nil
}

// AskCredentials gets user name and password from where auth-user-pass says, unless they are known. It is called at
// start, and before an attempt when credentials were forgotten and auth-retry is interact.
func (c *Client) AskCredentials(ctx context.Context) error {
	if !c.opts.AuthUserPass.Enabled {
		return nil
	}
	if _, _, ok := c.secrets.login(true); ok {
		return nil
	}
	user, pass, err := c.fileCredentials(ctx)
	if err != nil {
		return err
	}
	if c.challenge != nil || user == "" || pass == "" && !c.opts.AuthUserPass.UsernameOnly || c.opts.StaticChallenge != "" {
		if user, pass, err = c.askPerson(ctx, user, pass); err != nil {
			return err
		}
	}
	c.secrets.on(func(s *credentials.Set) { s.Answered(user, pass) })
	return nil
}

// fileCredentials reads the file, block or secret of auth-user-pass: two lines, the second may be missing.
func (c *Client) fileCredentials(ctx context.Context) (user, pass string, err error) {
	src := c.opts.AuthUserPass.Source
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
func (c *Client) askPerson(ctx context.Context, user, pass string) (string, string, error) {
	ch := c.challenge
	c.challenge = nil
	if c.opts.ManagementQueryPasswords && c.port.Reachable() {
		var static *server.Challenge
		if c.opts.StaticChallenge != "" && ch == nil {
			static = &server.Challenge{Text: c.opts.StaticChallenge, Echo: c.opts.StaticChallengeEcho, Concat: c.opts.StaticChallengeConcat}
		}
		cred, err := c.port.AskUserPass(ctx, mgmt.SecretAuth, static)
		return cred.Username, cred.Password, err
	}
	if ch != nil {
		response := ""
		var err error
		if ch.need {
			response, err = c.console(ctx, "CHALLENGE: "+ch.text, ch.echo)
		}
		return ch.user, ch.answer(response), err
	}
	var err error
	if user == "" {
		if user, err = c.console(ctx, "Enter Auth Username:", true); err != nil {
			return "", "", err
		}
	}
	if pass == "" && !c.opts.AuthUserPass.UsernameOnly {
		pass, err = c.console(ctx, "Enter Auth Password:", false)
	}
	if err != nil || c.opts.StaticChallenge == "" {
		return user, pass, err
	}
	response, err := c.console(ctx, "CHALLENGE: "+c.opts.StaticChallenge, c.opts.StaticChallengeEcho)
	if c.opts.StaticChallengeConcat {
		return user, pass + response, err
	}
	return user, staticAnswer(pass, response), err
}

func (c *Client) console(ctx context.Context, prompt string, echo bool) (string, error) {
	if c.deps.Console == nil {
		return "", errNoTerminal(prompt)
	}
	return c.deps.Console(ctx, prompt, echo)
}

// printable drops the control characters of a line, as stock does with what it reads from files.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

func firstLine(b []byte) string {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return strings.TrimRight(string(line), "\r")
}
