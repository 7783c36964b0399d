package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/lexer"
	"github.com/moongate-vpn/moongate/mgmt/wire"
)

// Client is one session on a management port. All methods may be called from many goroutines.
type Client struct {
	conn     net.Conn
	o        Options
	greeting string
	version  int

	in     *bufio.Reader // owned by New, then by the reader
	reader sync.WaitGroup
	over   chan struct{} // closed by the reader when the session ended

	out   sync.Mutex // one writer at a time; taken before queue
	queue struct {
		sync.Mutex
		waiting []*pending // commands in the order they were sent
		err     error      // why the session ended; set before over is closed
		closing bool       // Close was called: the end is ours
	}
	subs struct {
		sync.Mutex
		list    []*Subscription
		backlog []Notification // since the greeting, until the first subscription
		had     bool
		ended   bool
	}
	tracing sync.Mutex

	switches struct {
		sync.Mutex
		on map[string]string
	}
}

// pending is a command whose reply is not complete. The reader owns it until done is closed.
type pending struct {
	shape  shape
	at     int // part being read
	first  bool
	lines  int // read so far; a reply keeps the first maxReply of them
	queued bool
	reply  Reply
	done   chan struct{}
	call   func(Reply, error) // of Send: instead of done, from the reader
	block  []string           // lines sent behind the command, END included
}

const (
	maxBacklog = 256           // notifications kept for the first subscription
	maxLine    = 1 << 20       // bytes; stock's longest line is 10 KiB
	maxReply   = 1 << 20       // lines
	maxCommand = wire.MaxInput // bytes; stock drops the head of a longer line and executes its tail
)

func newClient(conn net.Conn, o Options) *Client {
	return &Client{conn: conn, o: o, in: bufio.NewReaderSize(&ackReader{conn, quickAck(conn)}, 64<<10), over: make(chan struct{})}
}

// ackReader acknowledges what it reads.
type ackReader struct {
	io.Reader
	ack func()
}

// Read implements io.Reader.
func (p *ackReader) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if n > 0 {
		p.ack()
	}
	return n, err
}

// Greeting is the text of the greeting line, Version the protocol version it names.
func (c *Client) Greeting() string { return c.greeting }

// Version is the protocol version of the greeting: 5 for 2.6, 6 for 2.7.
func (c *Client) Version() int { return c.version }

// Done is closed when the session ended; Err then says why.
func (c *Client) Done() <-chan struct{} { return c.over }

// Err is nil while the session lives, then an error matching ErrLost.
func (c *Client) Err() error {
	c.queue.Lock()
	defer c.queue.Unlock()
	return c.queue.err
}

// Close ends the session and waits for the reader. It is idempotent.
func (c *Client) Close() error {
	c.queue.Lock()
	c.queue.closing = true
	c.queue.Unlock()
	err := c.conn.Close()
	c.reader.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Cmd sends one command line and waits for its reply. An ERROR reply comes with a *ReplyError and is in the Reply too.
// A command that starts a block (IsBlock) must go through Block.
// Errors: *ReplyError, ErrLine, ErrTimeout, ErrLost, and ctx's.
func (c *Client) Cmd(ctx context.Context, line string) (Reply, error) {
	return c.Start(ctx, line)(ctx)
}

// Start sends a command line, as Cmd does, and returns what waits for its reply: commands that are started one after the other
// arrive in this order, in whatever order their replies are waited for.
func (c *Client) Start(ctx context.Context, line string) (wait func(context.Context) (Reply, error)) {
	s := shapeFor(line, c.version)
	if s.block {
		return failed(fmt.Errorf("%w: %s wants a block of lines", ErrLine, s.word))
	}
	return c.start(ctx, s, line)
}

// Block sends a command that collects lines up to END (client-auth, pk-sig, rsa-sig, certificate and, from version 6 on,
// password with one parameter) together with its lines. When the daemon refuses the command at once the lines were
// read as commands; Block then skips their answers, so that the session stays in step.
func (c *Client) Block(ctx context.Context, line string, lines []string) (Reply, error) {
	return c.StartBlock(ctx, line, lines)(ctx)
}

// StartBlock is to Block as Start is to Cmd.
func (c *Client) StartBlock(ctx context.Context, line string, lines []string) (wait func(context.Context) (Reply, error)) {
	for _, l := range lines {
		if l == listEnd {
			return failed(fmt.Errorf("%w: a line END inside the block would end it", ErrLine))
		}
	}
	s := shapeFor(line, c.version)
	s.block = true
	reply := c.start(ctx, s, line, append(append([]string(nil), lines...), listEnd)...)
	return func(ctx context.Context) (Reply, error) {
		r, err := reply(ctx)
		var refused *ReplyError
		if errors.As(err, &refused) && !strings.Contains(refused.Text, "command failed") {
			if serr := c.resync(ctx); serr != nil {
				return r, serr
			}
		}
		return r, err
	}
}

// resync drops the answers to block lines that were taken for commands: everything up to the answer of a pid.
func (c *Client) resync(ctx context.Context) error {
	_, err := c.start(ctx, shape{word: "pid", parts: []part{partPID}}, "pid")(ctx)
	var skipped *ReplyError
	if errors.As(err, &skipped) {
		return nil
	}
	return err
}

// partPID ends at the answer to pid, whatever comes before.
const partPID part = 255

// start writes line and more as one piece, queues the expectation and returns what waits for the reply.
func (c *Client) start(ctx context.Context, s shape, line string, more ...string) func(context.Context) (Reply, error) {
	for _, l := range append([]string{line}, more...) {
		if err := checkLine(l); err != nil {
			return failed(err)
		}
	}
	if err := ctx.Err(); err != nil {
		return failed(err)
	}
	p := &pending{shape: s, first: true, done: make(chan struct{})}
	if err := c.send(p, line, more); err != nil {
		return failed(err)
	}
	c.remember(line)
	if p.silent() {
		return failed(nil)
	}
	return func(ctx context.Context) (Reply, error) { return c.await(ctx, p) }
}

// failed is the wait for a command that was not sent, or that has no reply.
func failed(err error) func(context.Context) (Reply, error) {
	return func(context.Context) (Reply, error) { return Reply{}, err }
}

// await waits for the reply to p.
func (c *Client) await(ctx context.Context, p *pending) (Reply, error) {
	limit := time.NewTimer(c.o.ReplyTimeout)
	defer limit.Stop()
	select {
	case <-p.done:
		return p.reply, p.reply.err(p.shape.word)
	case <-ctx.Done():
		return Reply{}, ctx.Err()
	case <-limit.C:
		return Reply{}, fmt.Errorf("%s: %w (%v)", p.shape.word, ErrTimeout, c.o.ReplyTimeout)
	case <-c.over:
	}
	select { // the last line and the end may have come together
	case <-p.done:
		return p.reply, p.reply.err(p.shape.word)
	default:
		return Reply{}, c.Err()
	}
}

// Send sends a command line, with the lines of its block without END, and hands the reply to done. done is called once, by the
// reader, in the order of the stream: after what the daemon told before the reply and before what it tells next. It must
// not block. When the command cannot be sent, Send calls it itself. There is no deadline: the session's end is one.
func (c *Client) Send(line string, block []string, done func(Reply, error)) {
	s := shapeFor(line, c.version)
	p := &pending{shape: s, first: true, call: done}
	if s.block = s.block && block != nil; s.block {
		p.block = append(append(p.block, block...), listEnd)
	}
	for _, l := range append([]string{line}, block...) {
		if err := checkLine(l); err != nil {
			done(Reply{}, err)
			return
		}
	}
	if s.word != "client-auth" && slices.ContainsFunc(block, isCommand) {
		done(Reply{}, fmt.Errorf("%w: a line inside the block is a command", ErrLine))
		return
	}
	if err := c.send(p, line, p.block); err != nil {
		if c.forget(p) {
			done(Reply{}, err)
		}
		return
	}
	if p.silent() {
		done(Reply{}, nil)
	}
}

// isCommand reports whether a line of a block would do something. Blocks that answer a prompt are refused at once when the prompt
// is gone, and their lines are then read as commands.
func isCommand(line string) bool {
	params, err := lexer.Split(line, "")
	return err == nil && len(params) > 0 && mgmt.Lookup(params[0]) != nil
}

// forget takes p out of the queue, and reports whether nobody else answered it.
func (c *Client) forget(p *pending) bool {
	c.queue.Lock()
	defer c.queue.Unlock()
	if i := slices.Index(c.queue.waiting, p); i >= 0 {
		c.queue.waiting = slices.Delete(c.queue.waiting, i, i+1)
		return true
	}
	return !p.queued
}

// silent reports whether the command has no reply.
func (p *pending) silent() bool { return len(p.shape.parts) == 0 && p.shape.lines == 0 }

func (c *Client) send(p *pending, line string, more []string) error {
	var b strings.Builder
	b.WriteString(line)
	b.WriteByte('\n')
	for _, l := range more {
		b.WriteString(l)
		b.WriteByte('\n')
	}
	c.out.Lock()
	defer c.out.Unlock()
	c.queue.Lock()
	if err := c.queue.err; err != nil {
		c.queue.Unlock()
		return err
	}
	if !p.silent() {
		c.queue.waiting = append(c.queue.waiting, p)
		p.queued = true
	}
	c.queue.Unlock()
	c.trace(false, line)
	if len(more) > 0 {
		c.trace(false, redacted)
	}
	c.conn.SetWriteDeadline(time.Now().Add(c.o.WriteTimeout))
	if _, err := io.WriteString(c.conn, b.String()); err != nil {
		c.conn.Close() // half a line may be out: the stream is of no use any more
		return fmt.Errorf("%w: %v", ErrLost, Ending(err))
	}
	return nil
}

// checkLine refuses what the daemon would read as several lines, or as none.
func checkLine(l string) error {
	if len(l) > maxCommand {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrLine, len(l), maxCommand)
	}
	for i := range len(l) {
		if l[i] < 0x20 || l[i] == 0x7f {
			return fmt.Errorf("%w: control character 0x%02x", ErrLine, l[i])
		}
	}
	return nil
}

// read is the reader goroutine: it hands out lines until the connection ends.
func (c *Client) read() {
	defer c.reader.Done()
	var asm wire.Assembler
	var err error
	for {
		var line string
		if line, err = c.readLine(); err != nil {
			break
		}
		c.trace(true, line)
		if strings.HasPrefix(line, ">") && !c.expects(line) {
			if n, ok := asm.Add(line); ok {
				c.deliver(n)
			}
			continue
		}
		c.answer(line)
	}
	c.conn.Close()
	c.finish(err)
}

// readLine reads up to LF, whatever the pieces it arrives in.
func (c *Client) readLine() (string, error) {
	b, err := c.in.ReadSlice('\n')
	if err == nil {
		return trimEnd(string(b)), nil
	}
	var long []byte
	for errors.Is(err, bufio.ErrBufferFull) {
		if long = append(long, b...); len(long) > maxLine {
			return "", fmt.Errorf("line longer than %d bytes", maxLine)
		}
		b, err = c.in.ReadSlice('\n')
	}
	if err != nil {
		return "", err // a partial last line is no line
	}
	return trimEnd(string(append(long, b...))), nil
}

func trimEnd(s string) string { return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r") }

// expects reports whether line, looking like a notification, answers the oldest command.
func (c *Client) expects(line string) bool {
	if !strings.HasPrefix(line, ">PKCS11ID-") {
		return false
	}
	c.queue.Lock()
	defer c.queue.Unlock()
	w := c.queue.waiting
	return len(w) > 0 && w[0].shape.expect != "" && strings.HasPrefix(line, w[0].shape.expect)
}

// answer gives a line to the oldest command. A line nobody waits for is dropped.
func (c *Client) answer(line string) {
	if p := c.answered(line); p != nil && p.call != nil {
		p.call(p.reply, p.reply.err(p.shape.word))
	} else if p != nil && p.done != nil {
		close(p.done)
	}
}

// answered gives a line to the oldest command, and returns it if that completes its reply.
func (c *Client) answered(line string) *pending {
	c.queue.Lock()
	defer c.queue.Unlock()
	if len(c.queue.waiting) == 0 {
		return nil
	}
	p := c.queue.waiting[0]
	if !p.take(line) {
		return nil
	}
	c.queue.waiting[0] = nil
	c.queue.waiting = c.queue.waiting[1:]
	if p.refusedAtOnce() {
		var lines []*pending
		for _, l := range p.block { // were read as commands
			if q := (&pending{shape: shapeFor(l, c.version), first: true}); !q.silent() {
				lines = append(lines, q)
			}
		}
		c.queue.waiting = append(lines, c.queue.waiting...)
	}
	return p
}

// refusedAtOnce reports whether the daemon did not take the lines of the block: every other error comes after END.
func (p *pending) refusedAtOnce() bool {
	var refused *ReplyError
	return len(p.block) > 0 && errors.As(p.reply.err(""), &refused) && slices.ContainsFunc(notTaken, func(s string) bool {
		return strings.Contains(refused.Text, s)
	})
}

// notTaken are texts of errors that come in front of a block: there is no such request or command, or its ids are none.
var notTaken = []string{"is not currently available", "cannot parse ", " requires ", "unknown command"}

// take adds line to the reply and reports whether the reply is complete.
func (p *pending) take(line string) bool {
	if len(p.reply.Raw) < maxReply {
		p.reply.Raw = append(p.reply.Raw, line)
	}
	if p.lines++; p.shape.lines > 0 {
		return p.lines == p.shape.lines
	}
	if p.shape.parts[p.at] == partPID {
		return strings.HasPrefix(line, successPrefix+"pid=")
	}
	if !p.shape.parts[p.at].done(line, p.first) {
		p.first = false
		return false
	}
	p.at++
	p.first = true
	return p.at == len(p.shape.parts)
}

func (c *Client) deliver(n Notification) {
	if c.o.Notify != nil {
		c.o.Notify(n)
		return
	}
	c.subs.Lock()
	defer c.subs.Unlock()
	for _, s := range c.subs.list {
		s.push(n)
	}
	if !c.subs.had {
		if len(c.subs.backlog) == maxBacklog {
			c.subs.backlog = append(c.subs.backlog[:0], c.subs.backlog[1:]...)
		}
		c.subs.backlog = append(c.subs.backlog, n)
	}
}

// finish publishes the end of the session.
func (c *Client) finish(err error) {
	c.queue.Lock()
	switch {
	case c.queue.closing:
		c.queue.err = fmt.Errorf("%w: closed", ErrLost)
	case errors.Is(err, io.EOF):
		c.queue.err = fmt.Errorf("%w: it closed the session", ErrLost)
	default:
		c.queue.err = fmt.Errorf("%w: %v", ErrLost, Ending(err))
	}
	left, why := c.queue.waiting, c.queue.err
	c.queue.waiting = nil
	c.queue.Unlock()
	for _, p := range left {
		if p.call != nil {
			p.call(Reply{}, why)
		}
	}
	close(c.over)
	c.subs.Lock()
	defer c.subs.Unlock()
	c.subs.ended = true
	for _, s := range c.subs.list {
		s.end()
	}
}

func (c *Client) trace(fromDaemon bool, line string) {
	if c.o.Trace == nil {
		return
	}
	c.tracing.Lock()
	defer c.tracing.Unlock()
	c.o.Trace(fromDaemon, Redact(line))
}
