package server

import (
	"encoding/base64"
	"strconv"
	"strings"
)

func (c *call) username() { c.secret("username", c.args[0], &c.args[1]) }

func (c *call) password() {
	if c.passwordIsBlock() {
		c.passwordBlock()
		return
	}
	c.secret("password", c.args[0], &c.args[1])
}

// secret takes a user name or password for the pending prompt. A nil text only checks that it is wanted, and replies
// when it is not.
func (c *call) secret(what, typ string, text *string) bool {
	p, all, ok := c.takeSecret(what, typ, text)
	if p != nil {
		c.handOn(p, what, all)
	}
	return ok
}

// takeSecret is secret up to a complete answer for a daemon behind a Relay, which it returns.
func (c *call) takeSecret(what, typ string, text *string) (whole *prompt, all pair, ok bool) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	wants := func(p *prompt) bool { return what == "password" && p.pass || what == "username" && p.user }
	var p *prompt
	for _, q := range s.prompts {
		if q.kind == askSecret && wants(q) && (p == nil || q.typ == typ && p.typ != typ) {
			p = q
		}
	}
	switch {
	case p == nil && s.late(askSecret, typ, c.seat):
		c.reply("ERROR: " + what + " for '" + typ + "' is no longer needed, " + answeredBy)
		return nil, pair{}, false
	case p == nil:
		c.reply("ERROR: no " + what + " is currently needed at this time")
		return nil, pair{}, false
	case p.typ != typ:
		c.reply("ERROR: " + what + " of type '" + typ + "' entered, but we need one of type '" + p.typ + "'")
		return nil, pair{}, false
	case text == nil:
		return nil, pair{}, true
	}
	g := p.given[c.seat]
	if g == nil {
		g = &pair{}
		p.given[c.seat] = g
	}
	if what == "username" {
		if g.user = text; *text == "" {
			g.user = nil // acknowledged, and asked for still
		}
	} else {
		g.pass = text
	}
	all = p.left
	all.take(g)
	complete := (!p.user || all.user != nil) && (!p.pass || all.pass != nil)
	if complete && s.cfg.Relay != nil {
		return p, all, true
	}
	c.reply("SUCCESS: '" + typ + "' " + what + " entered, but not yet verified")
	if !complete {
		return nil, pair{}, true
	}
	var answer Credentials
	if all.user != nil {
		answer.Username = *all.user
	}
	if all.pass != nil {
		answer.Password = *all.pass
	}
	s.settle(p, c.seat, answer)
	return nil, pair{}, true
}

func (c *call) passwordIsBlock() bool { return c.cmd.Name == "password" && len(c.args) == 1 }

// passwordBlock is password with one parameter, of management version 6: base64 lines, then END.
func (c *call) passwordBlock() {
	typ := c.args[0]
	if !c.secret("password", typ, nil) {
		return
	}
	c.begin(&block{word: "password", end: func(lines []string) {
		text, err := base64.StdEncoding.DecodeString(strings.Join(lines, ""))
		switch {
		case err != nil:
			c.reply("ERROR: could not base64-decode password")
		case len(text) > maxPassword:
			c.reply("ERROR: password too long")
		default:
			p := string(text)
			c.secret("password", typ, &p)
		}
	}})
}

// maxPassword is the longest password a block may carry, in bytes.
const maxPassword = 4095

// begin starts a block on the seat.
func (c *call) begin(b *block) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.block = b
}

func (c *call) needOK() {
	c.answer(askOK, "needok-confirmation", func(text string) any { return text == "ok" })
}

func (c *call) needStr() {
	c.answer(askString, "needstr-string", func(text string) any { return text })
}

// answer serves needok and needstr. An empty text is acknowledged and leaves the prompt open.
func (c *call) answer(kind promptKind, what string, value func(string) any) {
	s, typ, text := c.s, c.args[0], c.args[1]
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pending(kind)
	switch {
	case p == nil && s.late(kind, typ, c.seat):
		c.reply("ERROR: " + what + " of type '" + typ + "' is no longer needed, " + answeredBy)
	case p == nil:
		c.reply("ERROR: no " + what + " is currently needed at this time")
	case p.typ != typ:
		c.reply("ERROR: " + what + " of type '" + typ + "' entered, but we need one of type '" + p.typ + "'")
	default:
		c.reply("SUCCESS: '" + typ + "' " + what + " entered, but not yet verified")
		if text != "" {
			s.settle(p, c.seat, value(text))
		}
	}
}

// Bounds of the parameters of remote MOD and proxy, in bytes.
const (
	maxHost = 79
	maxPort = 19
)

// remote answers AskRemote. Whatever is no answer leaves the prompt open.
func (c *call) remote() {
	if c.client() == nil {
		return
	}
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	var a RemoteAnswer
	ok := true
	switch {
	case c.args[0] == "ACCEPT":
	case c.args[0] == "SKIP":
		a = RemoteAnswer{Action: RemoteSkip, Skip: 1}
		if len(c.args) > 1 {
			a.Skip = max(1, number(c.args[1]))
		}
	case c.args[0] == "MOD" && len(c.args) >= 3:
		a = RemoteAnswer{Action: RemoteMod, Host: c.args[1], Port: c.args[2]}
		ok = a.Host != "" && a.Port != "" && len(a.Host) <= maxHost && len(a.Port) <= maxPort
	default:
		ok = false
	}
	c.settleChoice(askRemote, ok, a)
}

// proxy answers AskProxy. Without a prompt, "proxy NONE" changes nothing and succeeds. Unlike stock, a bad answer leaves
// the prompt open for a better one.
func (c *call) proxy() {
	if c.client() == nil {
		return
	}
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pending(askProxy)
	var a ProxyAnswer
	ok := true
	if len(c.args) >= 3 {
		a.Host, a.Port = c.args[1], c.args[2]
	}
	switch c.args[0] {
	case "NONE":
		a = ProxyAnswer{}
		if p == nil {
			c.result(true, "proxy")
			return
		}
	case "HTTP":
		a.Kind = ProxyHTTP
		a.NoCleartext = len(c.args) > 3 && c.args[3] == "nct"
		ok = p != nil && p.tcp
	case "SOCKS":
		a.Kind = ProxySOCKS
	default:
		ok = false
	}
	if a.Kind != ProxyNone {
		port, _ := leading(a.Port)
		ok = ok && a.Host != "" && port > 0 && port < 1<<16
	}
	c.settleChoice(askProxy, ok, a)
}

// settleChoice ends remote and proxy. The lock is held.
func (c *call) settleChoice(kind promptKind, ok bool, answer any) {
	p, name := c.s.pending(kind), c.cmd.Name
	switch {
	case ok && p != nil:
		c.result(true, name)
		c.s.settle(p, c.seat, answer)
	case p == nil && c.s.late(kind, "", c.seat):
		c.reply("ERROR: " + name + " command failed, " + answeredBy)
	default:
		c.result(false, name)
	}
}

func (c *call) certificate() {
	c.blockFor(askCertificate, func() string { return "certificate" }, func(lines []string) string {
		return strings.Join(lines, "\n") + "\n"
	})
}

// signature is pk-sig and rsa-sig; either answers a signature request, and the reply uses the word of the request.
func (c *call) signature() {
	c.blockFor(askSign, func() string { return c.signWord }, func(lines []string) string { return strings.Join(lines, "") })
}

// blockFor starts a block that answers a prompt, if there is one. The prompt stays answerable by others, and by this seat
// again if the block is not finished.
func (c *call) blockFor(kind promptKind, word func() string, value func([]string) string) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pending(kind)
	if p == nil {
		text := "ERROR: The " + c.cmd.Name + " command is not currently available"
		if s.late(kind, "", c.seat) {
			text += ", " + answeredBy
		}
		c.reply(text)
		return
	}
	b := &block{word: word(), prompt: p}
	b.end = func(lines []string) {
		if s.cfg.Relay != nil {
			c.relayBlock(b, kind, lines)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		select {
		case <-p.done:
			c.reply("ERROR: " + b.word + " command failed, " + answeredBy)
		default:
			c.result(true, b.word)
			s.settle(p, c.seat, value(lines))
		}
	}
	c.block = b
}

// crResponse sends the answer to a challenge. Its error in server mode is spelled as stock does.
func (c *call) crResponse() {
	ctl := c.s.cfg.Controller.Client()
	switch {
	case ctl == nil:
		c.unsupported("cr-repsonse")
	case len(c.args[0]) <= 1024 && ctl.CRResponse(c.args[0]):
		c.reply("SUCCESS: command succeeded")
	default:
		c.reply("ERROR: command failed")
	}
}

// networkChange answers a command that stock has on Android only.
func (c *call) networkChange() {
	same := len(c.args) > 0
	if same && c.args[0] != "samenetwork" {
		c.reply("ERROR: network-change parameter must be 'samenetwork'")
		return
	}
	if ctl := c.client(); ctl != nil {
		ctl.NetworkChange(same)
		c.reply("SUCCESS: network change noted")
	}
}

// pushUpdate changes pushed options of all clients or of one, as OpenVPN 2.7 does.
func (c *call) pushUpdate() {
	ctl := c.server()
	if ctl == nil {
		return
	}
	all := c.cmd.Name == "push-update-broad"
	options, cid := c.args[0], uint64(0)
	if !all {
		var ok bool
		options = c.args[1]
		if cid, ok = c.id(c.args[0], "CID"); !ok {
			c.reply("ERROR: push-update-cid fail during cid parsing")
			return
		}
	}
	u, ok := ctl.(PushUpdater)
	if !ok {
		c.result(false, "push-update")
		return
	}
	n, err := u.PushUpdate(cid, all, options)
	if err != nil {
		c.reply("ERROR: " + err.Error())
		c.result(false, "push-update")
		return
	}
	c.reply("SUCCESS: " + strconv.Itoa(n) + " client(s) updated")
	c.result(true, "push-update")
}
