package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/mgmt/server"

	"github.com/moongate-vpn/moongate/daemon/message"
)

// refusal is why a client is turned away.
type refusal struct {
	log    string // for our log
	line   string // takes the place of the log's usual line about a refused login, "" for that one
	client string // what the client reads after AUTH_FAILED, may be empty
}

func (r *refusal) Error() string { return r.log }

// judge is somebody who has a say about a login; also a set of them.
type judge uint8

const (
	judgePort   judge = 1 << iota // the management port
	judgeScript                   // auth-user-pass-verify
)

// keyMessage is a client's key message: it is checked who the client is, by everybody who has a say, all at once.
func (h *hub) keyMessage(i *instance, e control.KeyMessage, now time.Time) {
	l := &i.logins[e.KeyID]
	i.lastKID++
	l.kid = i.lastKID
	user, pass := message.Remap(e.Message.Username), message.Remap(e.Message.Password)
	var known *identity
	if e.KeyID == 0 {
		i.occ = e.Message.Options
		i.info = message.ParsePeerInfo(e.Message.PeerInfo)
	} else {
		i.renegotiated = true
		known = &identity{login: i.loginName, name: i.username, token: i.token}
	}
	c := h.set.tokens().claim(user, pass, known, now)
	if e.KeyID == 0 {
		i.loginName, i.username = c.name, c.name
	}
	if l.refused != nil {
		h.log(i, 1, "N", "TLS Auth Error: %v", l.refused)
	}
	for _, line := range i.info.Lines { // those of the first key count, for the whole session
		h.log(i, 1, "", "peer info: %s", line)
	}
	if h.set.OptVerify && e.KeyID == 0 && l.refused == nil {
		l.refused = h.compareOptions(i)
	}
	if l.refused != nil {
		h.refuse(i, e.KeyID, l.refused, now)
		return
	}
	for _, line := range c.lines {
		flag := ""
		if strings.HasPrefix(line, "TLS Auth Error") {
			flag = "N"
		}
		h.log(i, 1, flag, "%s", line)
	}
	if !c.token.Initial.IsZero() {
		i.token = c.token
	}
	i.sessionState, l.expired = c.state, c.expired
	switch {
	case c.refused != nil:
		h.refuse(i, e.KeyID, c.refused, now)
	case c.decided, !h.set.needsCredentials():
		h.verdict(i, e.KeyID, l.kid, 0, nil, now)
	case user == "" && !h.set.AuthUserPassOptional:
		h.log(i, 1, "", "TLS Error: Auth Username/Password was not provided by peer")
		h.log(i, 1, "N", "TLS Error: TLS handshake failed")
		h.end(i, "tls-error")
	default:
		h.ask(i, e.KeyID, c.user, c.pass, now)
	}
}

// maxOdd is how many lines about a client's options go into the log: the client decides how many differ.
const maxOdd = 16

// compareOptions refuses a client whose options do not fit ours (opt-verify), and logs where.
func (h *hub) compareOptions(i *instance) error {
	odd := message.Mismatches(h.occ, i.occ)
	if len(odd) == 0 {
		return nil
	}
	for _, line := range odd[:min(len(odd), maxOdd)] {
		h.log(i, 1, "W", "%s", line)
	}
	h.log(i, 1, "", "Option inconsistency warnings triggering disconnect due to --opt-verify")
	return &refusal{log: "options differ"}
}

// ask puts the question to the script and to the management port. user is the name they are to decide about, which
// override-username may have replaced since.
func (h *hub) ask(i *instance, keyID uint8, user, pass string, now time.Time) {
	l := &i.logins[keyID]
	l.limit = now.Add(h.verdictTime())
	if h.set.tokens().gives(i.username) {
		_ = i.startToken(now) // scripts see its session
	}
	env := h.env(i)
	if user != i.username {
		env.Set("username", user)
	}
	env.Set("password", pass)
	if h.set.ManagementClientAuth {
		l.pending |= judgePort
		i.announced = true
		ev := h.clientEvent(i, env)
		ev.KID = l.kid
		if i.phase == established {
			h.port.ClientReauth(ev)
		} else {
			h.port.ClientConnect(ev)
		}
	}
	if h.set.AuthUserPassVerify == "" {
		h.deferred(i, keyID, l.kid)
	} else {
		l.pending |= judgeScript
		h.verifyScript(i, keyID, l.kid, user, pass, env)
	}
	h.wakeAt(i, l.limit)
}

// verdictTime is how long a client may wait for the verdicts about it.
func (h *hub) verdictTime() time.Duration {
	t := h.set.HandWindow
	if r := h.set.RenegSec / 2; r > 0 {
		t = min(t, r)
	}
	return t
}

// verifyScript runs auth-user-pass-verify beside the hub. A script that defers (exit status 2) goes on by its control
// file until the client's time is over.
func (h *hub) verifyScript(i *instance, keyID uint8, kid uint64, user, pass string, env *hooks.Env) {
	set, limit, prefix := h.set, h.verdictTime(), i.prefix()
	i.logins[keyID].stop = h.beside(limit, func(ctx context.Context, a *aside) func(*hub) {
		err := a.authScript(ctx, set, i, prefix, keyID, kid, user, pass, env)
		return func(h *hub) { h.verdict(i, keyID, kid, judgeScript, err, time.Now()) }
	})
}

// authScript runs the script with its exchange files and returns nil when it accepts.
func (a *aside) authScript(ctx context.Context, set *setup, i *instance, prefix string, keyID uint8, kid uint64, user, pass string, env *hooks.Env) error {
	files, err := newExchange(set.TmpDir, "acf", "apf", "afr")
	if err != nil {
		return &refusal{log: err.Error()}
	}
	defer files.remove()
	env.Set("auth_control_file", files.path("acf"))
	env.Set("auth_pending_file", files.path("apf"))
	env.Set("auth_failed_reason_file", files.path("afr"))
	call := hooks.Call{Tag: "--auth-user-pass-verify", Type: "user-pass-verify", Command: set.AuthUserPassVerify, Env: env}
	if set.AuthViaFile {
		env.Unset("password")
		f, err := newMessage(set.TmpDir, "up", []byte(user+"\n"+pass+"\n"))
		if err != nil {
			return &refusal{log: err.Error()}
		}
		defer f.remove()
		call.Args = []string{f.path("up")}
	} else if set.ScriptSecurity < 3 {
		env.Unset("password")
	}
	err = a.script(ctx, call)
	var failed *hooks.Error
	if errors.As(err, &failed) && failed.Code == 2 {
		further := files.read("apf")
		a.post(func(h *hub) {
			h.deferred(i, keyID, kid)
			h.pendingFromFile(i, keyID, kid, further)
		})
		err = files.await(ctx, "acf")
	}
	if err == nil {
		return nil
	}
	if failed != nil && failed.Code != 2 && failed.Code != 1 && !errors.Is(ctx.Err(), context.Canceled) {
		a.logLine(prefix, 1, "W", "%v", failed)
	}
	why := strings.TrimRight(files.read("afr"), "\r\n")
	if why == "" && errors.Is(context.Cause(ctx), hooks.ErrDeadline) {
		why = timedOut
	}
	return &refusal{log: "auth-user-pass-verify refused", client: why}
}

// pendingFromFile tells the client about a further step that a deferring script asked for: seconds, method, text.
func (h *hub) pendingFromFile(i *instance, keyID uint8, kid uint64, text string) {
	f := strings.SplitN(strings.TrimRight(text, "\r\n"), "\n", 3)
	if len(f) < 3 || i.phase == gone || i.logins[keyID].kid != kid {
		return
	}
	secs, err := strconv.Atoi(strings.TrimSpace(f[0]))
	if err != nil || secs <= 0 {
		return
	}
	now := time.Now()
	if method := strings.TrimSpace(f[1]); !i.info.SSO(method) {
		why := fmt.Sprintf("Authentication failed, required pending auth method '%s' not supported", method)
		h.verdict(i, keyID, kid, judgeScript, &refusal{log: why, client: why}, now)
		return
	}
	h.pending(i, kid, strings.TrimRight(f[2], "\r"), time.Duration(secs)*time.Second, now)
}

// verdict is the answer of by about a key: nil accepts. All that were asked have to accept.
func (h *hub) verdict(i *instance, keyID uint8, kid uint64, by judge, err error, now time.Time) {
	l := &i.logins[keyID]
	if i.phase == gone || l.kid != kid || l.done || l.refused != nil {
		return
	}
	if err != nil {
		h.refuse(i, keyID, err, now)
		return
	}
	if l.pending &^= by; l.pending != 0 {
		if l.pending&judgeScript == 0 {
			h.deferred(i, keyID, kid)
		}
		return
	}
	takesName := h.set.UsernameAsCommonName && keyID == 0 && i.username != ""
	if takesName && len(i.username) > maxCommonName {
		h.log(i, 1, "N", "TLS Auth Error: --username-as-common name specified and username is longer than the maximum permitted Common Name length of %d characters", maxCommonName)
		h.refuse(i, keyID, &refusal{log: "user name is too long for a common name"}, now)
		return
	}
	l.done = true
	if h.set.needsCredentials() && !l.late {
		h.log(i, 2, "", "TLS: Username/Password authentication succeeded for username '%s' %s", i.username, h.nameSet())
	}
	if takesName {
		i.commonName = i.username
	}
	switch {
	case l.ready:
		h.introduce(i, keyID)
		h.admitted(i, keyID, now)
	case keyID > 0:
		// The client may send with this key as soon as it has our key message, before its acknowledgement is here.
		l.started = now
		if err := h.installKey(i, keyID); err != nil {
			h.log(i, 1, "N", "TLS Error: %v", err)
		}
	}
	h.wakeAt(i, now)
}

// refuse turns a key down: the client is told once texts flow, and is gone soon after.
func (h *hub) refuse(i *instance, keyID uint8, err error, now time.Time) {
	l := &i.logins[keyID]
	var r *refusal
	if !errors.As(err, &r) {
		r = &refusal{log: err.Error()}
	}
	if l.expired && r.client == "" {
		r = &refusal{log: r.log, line: r.line, client: expiredText}
	}
	l.refused = r
	l.end()
	switch {
	case r.line != "":
		h.log(i, 1, "", "%s", r.line)
	case !l.late:
		h.log(i, 1, "N", "TLS Auth Error: Auth Username/Password verification failed for peer")
	}
	h.log(i, 4, "", "refused: %v", err)
	if l.ready {
		h.turnAway(i, keyID, now)
	}
	h.wakeAt(i, now)
}

// turnAway sends AUTH_FAILED with the reason of the refusal.
func (h *hub) turnAway(i *instance, keyID uint8, now time.Time) {
	msg := "AUTH_FAILED"
	var r *refusal
	if errors.As(i.logins[keyID].refused, &r) && r.client != "" && (!strings.HasPrefix(r.client, "TEMP") || i.info.Has(message.ProtoAuthTemp)) {
		msg += "," + message.Remap(r.client)
	}
	i.tunnel.Store(nil)
	h.promoted(i, keyID)
	h.closeLater(i, now)
	h.text(i, msg, now)
	h.initiated(i, keyID)
}

// deferred is a login whose verdict comes later: the script said so, or only the management port is asked.
func (h *hub) deferred(i *instance, keyID uint8, kid uint64) {
	l := &i.logins[keyID]
	if i.phase == gone || l.kid != kid || l.done || l.refused != nil || l.late {
		return
	}
	l.late = true
	h.log(i, 2, "", "TLS: Username/Password authentication deferred for username '%s' %s", i.username, h.nameSet())
	if l.ready {
		h.introduce(i, keyID)
	}
}

// nameSet is what stock adds to the line of a login that gives the client its common name.
func (h *hub) nameSet() string {
	if h.set.UsernameAsCommonName {
		return "[CN SET]"
	}
	return ""
}

// introduce logs a key that is active, once, when its login has an answer, be it that the verdict is deferred.
func (h *hub) introduce(i *instance, keyID uint8) {
	h.promoted(i, keyID)
	h.initiated(i, keyID)
}

// promoted is the first half of introduce, before a client is told that it is refused.
func (h *hub) promoted(i *instance, keyID uint8) {
	if i.channel == "" || keyID > 0 {
		return
	}
	trust := "trusted"
	if !i.logins[0].done {
		trust = "semi-trusted"
	}
	h.log(i, 3, "", "TLS: move_session: dest=TM_ACTIVE src=TM_INITIAL reinit_src=1")
	h.log(i, 3, "", "TLS: tls_multi_process: initial untrusted session promoted to %s", trust)
}

// initiated is the second half.
func (h *hub) initiated(i *instance, keyID uint8) {
	if i.channel == "" {
		return
	}
	h.log(i, 2, "", "Control Channel: %s", i.channel)
	if keyID == 0 {
		h.log(i, 1, "I", "[%s] Peer Connection Initiated with %s", i.commonName, h.set.fullAddress(*i.peer.Load()))
	}
	i.channel = ""
}

// keyActive is a key whose negotiation is complete.
func (h *hub) keyActive(i *instance, e control.Active, now time.Time) {
	l := &i.logins[e.KeyID]
	l.ready, l.started = true, e.Started
	h.handshakes++
	if e.KeyID == 0 {
		h.answers.Credit(i.peer.Load().Addr.Addr())
	}
	if l.done || l.late {
		h.introduce(i, e.KeyID)
	}
	switch {
	case l.refused != nil:
		h.turnAway(i, e.KeyID, now)
	case l.done:
		h.admitted(i, e.KeyID, now)
	}
}

// admitted is a key that is active and accepted.
func (h *hub) admitted(i *instance, keyID uint8, now time.Time) {
	if keyID == 0 {
		h.authorise(i, now)
		return
	}
	if err := h.installKey(i, keyID); err != nil {
		h.log(i, 1, "N", "TLS Error: %v", err)
		return
	}
	h.freshToken(i, now)
}

// installKey gives the data channel the keys of a key id.
func (h *hub) installKey(i *instance, keyID uint8) error {
	ch, l := i.tunnel.Load(), &i.logins[keyID]
	if ch == nil || l.installed {
		return nil
	}
	block, err := i.session.KeyBlock(keyID, i.ekm)
	if err != nil {
		return fmt.Errorf("derive data keys: %w", err)
	}
	defer block.Wipe()
	l.installed = true
	return ch.SetKey(keyID, block, l.started.Add(h.verdictTime()))
}

// pending tells a client that a further step is on, and gives it time for that.
func (h *hub) pending(i *instance, kid uint64, extra string, timeout time.Duration, now time.Time) bool {
	if len(extra) > maxExtra {
		return false
	}
	for k := range i.logins {
		l := &i.logins[k]
		if l.kid != kid || kid == 0 {
			continue
		}
		most := max(h.set.RenegSec/2, h.set.HandWindow)
		timeout = max(0, min(timeout, most-now.Sub(i.keySince)))
		l.limit, l.step = now.Add(timeout), true
		msg := "AUTH_PENDING"
		if i.info.Has(message.ProtoAuthPendingWord) {
			msg = fmt.Sprintf("AUTH_PENDING,timeout %d", int(timeout.Seconds()))
		}
		h.text(i, msg, now)
		h.text(i, "INFO_PRE,"+extra, now)
		return true
	}
	return false
}

// maxExtra is the longest text of a pending step, in bytes.
const maxExtra = 1000

// timedOut is what a client reads when nobody decided about it.
const timedOut = "authentication timed out"

// overdue refuses the keys whose verdicts did not come in time.
func (h *hub) overdue(i *instance, now time.Time) {
	for k := range i.logins {
		l := &i.logins[k]
		if l.pending != 0 && l.refused == nil && !l.limit.IsZero() && now.After(l.limit) {
			h.refuse(i, uint8(k), &refusal{log: "no decision in time", client: timedOut}, now)
		}
	}
}

// clientEvent is what the management port tells about a client.
func (h *hub) clientEvent(i *instance, env *hooks.Env) server.ClientEvent {
	list := env.Newest()
	list = append([]string{"n_clients=" + strconv.Itoa(h.established)}, list...)
	return server.ClientEvent{CID: i.cid, KID: i.lastKID, Env: list, PeerInfo: i.info.Lines}
}
