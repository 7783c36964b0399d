package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/mgmt/wire"
)

// Options tune a connection. The zero value is fine for a port without password.
type Options struct {
	// Password is asked for when the port wants one; nil means that none is at hand. It is called once.
	Password func(ctx context.Context) (string, error)

	DialTimeout     time.Duration // default 5 s
	GreetingTimeout time.Duration // default 5 s: from the accepted connection to the greeting
	WriteTimeout    time.Duration // default 10 s
	ReplyTimeout    time.Duration // default 15 s: daemons in a name lookup answer late

	Use string // which daemon of a mux, "" for its only one; an address that Dial gets says it itself

	TLS *tls.Config // for tls:// addresses; ServerName is filled in when empty

	// Notify takes all notifications, in the order of the stream, from the reader: it must not block. Subscriptions get none
	// then.
	Notify func(Notification)

	// Trace sees every line once it was sent or received, secrets replaced (Redact). It is called from the
	// reader and from callers of Cmd, one at a time, and must not block.
	Trace func(fromDaemon bool, line string)
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&o.DialTimeout, 5*time.Second)
	set(&o.GreetingTimeout, 5*time.Second)
	set(&o.WriteTimeout, 10*time.Second)
	set(&o.ReplyTimeout, 15*time.Second)
	return o
}

// Dial connects to addr (see ParseAddr) and reads the greeting. Errors: *UnreachableError, ErrNoGreeting, ErrPassword, ErrCertificate,
// ErrNotManagement, ErrLost.
func Dial(ctx context.Context, addr string, o Options) (*Client, error) {
	a, err := ParseAddr(addr)
	if err != nil {
		return nil, err
	}
	o = o.withDefaults()
	dctx, cancel := context.WithTimeout(ctx, o.DialTimeout)
	defer cancel()
	var conn net.Conn
	if a.TLS {
		cfg := o.TLS.Clone()
		if cfg == nil {
			cfg = &tls.Config{}
		}
		if cfg.ServerName == "" {
			cfg.ServerName = a.Host()
		}
		conn, err = (&tls.Dialer{Config: cfg}).DialContext(dctx, a.Network, a.Address)
	} else {
		conn, err = (&net.Dialer{}).DialContext(dctx, a.Network, a.Address)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if certificateRefused(err) {
			return nil, fmt.Errorf("%s: %w: %v", a, ErrCertificate, err)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no answer within %v", o.DialTimeout)
		}
		return nil, &UnreachableError{Addr: a.String(), Err: Ending(plainDialError(err))}
	}
	o.Use = a.Use
	c, err := New(ctx, conn, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a, err)
	}
	return c, nil
}

// certificateRefused reports whether err is a TLS alert of the other end. With TLS 1.3 it comes at the first read.
func certificateRefused(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// plainDialError drops the "dial tcp 1.2.3.4:5:" in front, which repeats the address.
func plainDialError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		var sys *os.SyscallError
		if errors.As(op.Err, &sys) {
			return sys.Err
		}
		return op.Err
	}
	return err
}

// New takes over conn, an open connection to a management port, and reads the greeting. On error conn is closed.
func New(ctx context.Context, conn net.Conn, o Options) (*Client, error) {
	c := newClient(conn, o.withDefaults())
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	err := c.greet(ctx)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	c.reader.Add(1)
	go c.read()
	return c, nil
}

// enterPassword is sent without a line end.
const enterPassword = wire.PasswordQuestion

// greet plays the password dialogue and reads the greeting line.
func (c *Client) greet(ctx context.Context) error {
	c.conn.SetReadDeadline(time.Now().Add(c.o.GreetingTimeout))
	asked, chosen := false, false
	for {
		line, prompt, err := c.readGreetingLine()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("%w within %v: another program holds the port?", ErrNoGreeting, c.o.GreetingTimeout)
		case err != nil && certificateRefused(err):
			return fmt.Errorf("%w: %v", ErrCertificate, err)
		case err != nil && asked:
			return fmt.Errorf("%w: %w", ErrPassword, ErrLost)
		case err != nil && errors.Is(err, bufio.ErrBufferFull):
			return ErrNotManagement
		case err != nil:
			return fmt.Errorf("%w before the greeting: %v", ErrLost, Ending(err))
		case prompt && asked:
			return ErrPassword
		case prompt:
			if err := c.sendPassword(ctx); err != nil {
				return err
			}
			asked = true
		case strings.HasPrefix(line, ">INFO:"):
			c.greeting = strings.TrimPrefix(line, ">INFO:")
			c.version = greetingVersion(c.greeting)
			c.trace(true, line)
			if c.o.Use == "" || chosen {
				return nil
			}
			if err := c.choose(); err != nil {
				return err
			}
			asked, chosen = true, true
		case strings.HasPrefix(line, ">"): // of a daemon that was not chosen
		case asked && strings.HasPrefix(line, successPrefix):
			c.trace(true, line)
		case strings.HasPrefix(line, errorPrefix):
			return fmt.Errorf("%w: %s", ErrRefused, strings.TrimPrefix(line, errorPrefix))
		default:
			return fmt.Errorf("%w: it says %.60q", ErrNotManagement, line)
		}
	}
}

// choose asks a mux for one of its daemons, which then greets.
func (c *Client) choose() error {
	line := Line("use", c.o.Use)
	if err := checkLine(line); err != nil {
		return err
	}
	c.trace(false, line)
	c.conn.SetDeadline(time.Now().Add(c.o.GreetingTimeout))
	if _, err := c.conn.Write([]byte(line + "\n")); err != nil {
		return fmt.Errorf("%w: %v", ErrLost, Ending(err))
	}
	return nil
}

func (c *Client) sendPassword(ctx context.Context) error {
	if c.o.Password == nil {
		return fmt.Errorf("%w: the port asks for one: use a password file", ErrPassword)
	}
	pw, err := c.o.Password(ctx)
	if err != nil {
		return fmt.Errorf("read the management password: %w", err)
	}
	if i := strings.IndexAny(pw, "\r\n\x00"); i >= 0 {
		return fmt.Errorf("%w: it contains a line end", ErrPassword)
	}
	c.trace(true, enterPassword)
	c.trace(false, redacted)
	c.conn.SetDeadline(time.Now().Add(c.o.GreetingTimeout))
	if _, err := c.conn.Write([]byte(pw + "\n")); err != nil {
		return fmt.Errorf("%w: %v", ErrLost, Ending(err))
	}
	return nil
}

// readGreetingLine reads a line, or the password prompt which has no line end.
func (c *Client) readGreetingLine() (line string, prompt bool, err error) {
	var b []byte
	for len(b) < maxGreeting {
		x, err := c.in.ReadByte()
		if err != nil {
			return "", false, err
		}
		if x == '\n' {
			return strings.TrimSuffix(string(b), "\r"), false, nil
		}
		b = append(b, x)
		if len(b) == len(enterPassword) && string(b) == enterPassword {
			return "", true, nil
		}
	}
	return "", false, bufio.ErrBufferFull
}

const maxGreeting = 1024

// greetingVersion finds the number in "OpenVPN Management Interface Version 5 -- …". Unknown texts count as 1.
func greetingVersion(text string) int {
	_, rest, ok := strings.Cut(text, " Version ")
	if n := leadingNumber(rest); ok && n > 0 {
		return n
	}
	return 1
}
