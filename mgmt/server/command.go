package server

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/lexer"
	"github.com/moongate-vpn/moongate/mgmt/wire"
)

// call is one command of a seat. Its methods are the commands; they run on the seat's reader.
type call struct {
	*seat
	cmd  *mgmt.Command
	args []string // parameters behind the command word, at least cmd.Min
	text string   // the line
}

// where stands in lexer errors. Stock writes it on unix sockets too.
const where = "TCP:0"

// block is the multi-line input under way on a seat. It has one reply, after END, whatever becomes of it before.
type block struct {
	word    string // of the reply
	lines   []string
	bytes   int
	refused string               // the error to answer instead of executing
	prompt  *prompt              // answered by this block; nil for client-auth
	end     func(lines []string) // executes at END and replies
}

// refuse has the block end with an error. The first reason stays.
func (b *block) refuse(reason string) {
	if b.refused == "" {
		b.refused, b.lines = reason, nil
	}
}

// maxBlock bounds the text of a block in bytes.
const maxBlock = 1 << 20

// execute runs one line, and reports whether the session goes on.
func (st *seat) execute(text string) bool {
	if st.collect(text) {
		return true
	}
	params, err := lexer.Split(text, where)
	if err != nil {
		st.reply(wire.Error + err.Error())
		st.logCommand(text, "") // behind the reply, as stock does
		return true
	}
	if len(params) == 0 {
		st.logCommand(text, "")
		return true
	}
	st.logCommand(text, params[0])
	cmd := mgmt.Lookup(params[0])
	if params[0] == "exit" || params[0] == "quit" {
		return false
	}
	relayed := st.s.cfg.Relay != nil
	switch {
	case params[0] == useCommand && st.s.cfg.Choices != nil:
		st.use(params[1:])
		return true
	case !relayed && st.s.cfg.Controller == nil:
		st.reply(wire.Error + "choose a daemon first: " + st.s.choices())
		return true
	case cmd == nil && relayed && st.role == mgmt.RoleAdmin:
		cmd = &mgmt.Command{Name: params[0], Role: mgmt.RoleAdmin} // a word that the daemon behind may know
	case cmd == nil:
		st.unknown(params[0])
		return true
	}
	c := call{st, cmd, params[1:], text}
	if least, atLeast := c.arity(); len(c.args) < least && !relayed {
		c.reply(arityError(cmd.Name, least, atLeast))
		return true
	}
	if need := cmd.Needs(len(c.args)); !st.role.May(need) {
		refusal := "the '" + cmd.Name + "' command is not permitted here, it needs the role " + need.String()
		if cmd.Block || c.passwordIsBlock() {
			c.begin(&block{refused: refusal})
		} else {
			c.reply(wire.Error + refusal)
		}
		return true
	}
	c.tellActed()
	if relayed {
		c.runRelayed(params[0])
	} else {
		handlers[cmd.Name].run(&c)
	}
	return true
}

// arity is how many parameters the command must have.
func (c *call) arity() (n int, atLeast bool) {
	if c.cmd.Name == "password" && c.s.protocol() >= 6 {
		if c.announced() >= 5 || len(c.args) == 0 {
			return 1, true
		}
	}
	return c.cmd.Min, c.cmd.AtLeast
}

func arityError(name string, n int, atLeast bool) string {
	text := "ERROR: the '" + name + "' command requires "
	if atLeast {
		text += "at least "
	}
	text += strconv.Itoa(n) + " parameter"
	if n > 1 {
		text += "s"
	}
	return text
}

func (st *seat) unknown(word string) {
	if st.s.protocol() >= 6 {
		st.reply("ERROR: unknown command [" + word + "], enter 'help' for more options")
		return
	}
	st.reply("ERROR: unknown command, enter 'help' for more options")
}

// logCommand logs an executed line at verbosity 3. Secrets are left out: passwords as stock does, also of lines that the
// lexer refuses, and challenge responses.
func (st *seat) logCommand(text, word string) {
	if text == "load-stats" || st.s.cfg.Controller == nil { // the daemon behind a Relay logs what reaches it
		return
	}
	if st.logs != nil && !st.logs.Allow() {
		st.unlogged++
		return
	}
	if time.Since(st.told) > unloggedEvery {
		st.logUnlogged()
	}
	for _, secret := range [...]string{"password", "cr-response"} {
		if word == secret || word == "" && strings.HasPrefix(strings.TrimLeft(text, ` "'`), secret) {
			text = secret + " [...]"
		}
	}
	st.s.logf(3, mgmt.FlagDebug, "MANAGEMENT: CMD '"+text+"'")
}

// unloggedEvery is the pause between two lines that count commands left out of the log.
const unloggedEvery = 5 * time.Second

// logUnlogged counts the commands that were not logged, as there were too many.
func (st *seat) logUnlogged() {
	if st.unlogged > 0 {
		st.told = time.Now()
		st.s.logf(3, mgmt.FlagDebug, "MANAGEMENT: "+strconv.Itoa(st.unlogged)+" commands of "+st.name+" were too many to be logged")
		st.unlogged = 0
	}
}

// collect takes a line into the block under way, and reports whether there is one.
func (st *seat) collect(text string) bool {
	s := st.s
	s.mu.Lock()
	b := st.block
	if b == nil {
		s.mu.Unlock()
		return false
	}
	if text != wire.End {
		if b.bytes += len(text) + 1; b.bytes > maxBlock {
			b.refuse(b.word + " command failed: more than " + strconv.Itoa(maxBlock) + " bytes")
		}
		if b.refused == "" {
			b.lines = append(b.lines, text)
		}
		s.mu.Unlock()
		return true
	}
	st.block = nil
	s.mu.Unlock()
	if b.refused != "" {
		st.reply(wire.Error + b.refused)
	} else {
		b.end(b.lines)
	}
	return true
}

// spoil refuses the block under way because of one of its lines, and reports whether there is one.
func (st *seat) spoil(reason string) bool {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	if st.block == nil {
		return false
	}
	st.block.refuse(st.block.word + " command failed: " + reason)
	return true
}

// unsupported answers a command that the present phase or mode of the daemon does not have.
func (c *call) unsupported(name string) {
	c.reply("ERROR: The '" + name + "' command is not supported by the current daemon mode")
}

// client is the running client instance, or the error is answered.
func (c *call) client() ClientController {
	ctl := c.s.cfg.Controller.Client()
	if ctl == nil {
		c.unsupported(c.cmd.Name)
	}
	return ctl
}

// server is the running server instance, or the error is answered.
func (c *call) server() ServerController {
	ctl := c.s.cfg.Controller.Server()
	if ctl == nil {
		c.unsupported(c.cmd.Name)
	}
	return ctl
}

// announced is the protocol version the seat announced.
func (c *call) announced() int {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.version
}

// result answers with the outcome of a command.
func (c *call) result(ok bool, name string) {
	if ok {
		c.reply("SUCCESS: " + name + " command succeeded")
	} else {
		c.reply("ERROR: " + name + " command failed")
	}
}

// list answers with lines and END.
func (c *call) list(lines []string) {
	n := 0
	for _, l := range lines {
		n += len(l) + 2
	}
	b := make([]byte, 0, n+8)
	for _, l := range lines {
		b = append(mgmt.AppendText(b, l), '\r', '\n')
	}
	if len(lines) == 0 || lines[len(lines)-1] != wire.End {
		b = append(b, "END\r\n"...)
	}
	c.out.push(reply, b)
}

// number reads leading decimal digits with an optional sign, else 0: the rule of all parameters but ids and timeouts. It
// keeps the low 32 bits, as C does on the way from long to int.
func number(s string) int {
	n, _ := leading(s)
	return int(int32(n)) //nolint:gosec // see above
}

// leading reads a leading decimal number as C's scanner does: blanks, a sign, digits, then anything. ok is false without a
// digit. Values saturate.
func leading(s string) (n int64, ok bool) {
	s = strings.TrimLeft(s, " ")
	neg := strings.HasPrefix(s, "-")
	if neg || strings.HasPrefix(s, "+") {
		s = s[1:]
	}
	for i := 0; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		ok = true
		if d := int64(s[i] - '0'); n > (math.MaxInt64-d)/10 {
			n = math.MaxInt64
		} else {
			n = n*10 + d
		}
	}
	if neg {
		n = -n
	}
	return n, ok
}

// id reads a CID or KID; what is missing is answered with the error that names it.
func (c *call) id(arg, name string) (uint64, bool) {
	digits := strings.TrimPrefix(strings.TrimLeft(arg, " "), "+")
	n := 0
	for n < len(digits) && digits[n] >= '0' && digits[n] <= '9' {
		n++
	}
	if v, err := strconv.ParseUint(digits[:n], 10, 64); err == nil {
		return v, true
	}
	if v, ok := leading(arg); ok && v == 0 {
		return 0, true // with a minus
	} else if ok {
		return 1<<64 - 1, true // negative, or larger than any id: a number no client has
	}
	c.reply("ERROR: cannot parse " + name)
	return 0, false
}

func appendInt(b []byte, n int) []byte { return strconv.AppendInt(b, int64(n), 10) }
