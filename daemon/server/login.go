package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/journal"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/plugin"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/mgmt/server"

	"github.com/moongate-vpn/moongate/daemon/message"
)

// refusal is why a client is turned away.
type refusal struct {
	log    string        // for our log
	line   string        // takes the place of the log's usual line about a refused client, "" for that one
	level  logging.Level // of line
	client string        // what the client reads after AUTH_FAILED, may be empty
}

// refusedFor is a refusal with a line of its own in the log.
func refusedFor(line string) *refusal { return &refusal{log: line, line: line, level: logging.Error} }

func (r *refusal) Error() string { return r.log }

// logins are the questions about the logins of a client's keys.
type logins struct {
	asking        [8]asking // by key id
	doubt         error     // about the certificates of the key that is negotiated
	channel       string    // the log's line about the control channel, until it is written
	fromPort      []string  // configuration lines that came with a client-auth command
	deferredFiles []string  // "name=path" of the files by which a plugin answers a login that it put off
	byToken       bool      // the first login was decided by its token
	unchecked     bool      // there was nobody to ask about the first login
}

// asking tracks the verifiers of one key's login.
type asking struct {
	stop    func()    // ends the script that is asked, may be nil
	expired bool      // by a token that was too old, which the client reads when it is refused
	since   time.Time // of the key message
}

// stop ends the script that is asked about a key's login: its answer does not matter any more.
func (l *logins) stop(keyID uint8) {
	if stop := l.asking[keyID].stop; stop != nil {
		stop()
	}
}

// renew forgets the question about a key, whose id a new one takes.
func (l *logins) renew(keyID uint8) {
	l.stop(keyID)
	l.asking[keyID] = asking{}
}

// stopAll is stop for all keys.
func (l *logins) stopAll() {
	for k := range l.asking {
		l.stop(uint8(k))
	}
}

// keyMessage handles a client's key message. It asks all verifiers of the login at once.
func (h *hub) keyMessage(i *instance, e session.KeyMessage, now time.Time) {
	user, pass := message.Remap(e.Message.Username), message.Remap(e.Message.Password)
	if !h.set.needsCredentials() { // a name that nobody checks is nobody's
		user, pass = "", ""
	}
	var known *session.Owner
	if e.KeyID != 0 && i.logins.unchecked && h.set.needsCredentials() {
		h.log(i, logging.Info, "A reload asks for logins: the client is sent to log in anew")
		h.closeLater(i, session.SentAway, now)
		h.text(i, "RESTART", now)
		return
	}
	if e.KeyID == 0 {
		i.logins.unchecked = !h.set.needsCredentials()
		i.occ = e.Message.Options
		i.info = message.ParsePeerInfo(e.Message.PeerInfo)
	} else {
		known = &session.Owner{Login: i.loginName, Name: i.username, Token: i.token.Token}
	}
	c := h.set.tokens().Claim(user, pass, known, now)
	if e.KeyID == 0 {
		i.loginName, i.username, i.logins.byToken = c.Name, c.Name, c.Decided
	}
	i.logins.asking[e.KeyID].since = now
	doubt := i.logins.doubt
	for _, line := range i.info.Lines { // those of the first key count, for the whole session
		h.log(i, logging.Info, "peer info: %s", line)
	}
	if h.set.OptVerify && e.KeyID == 0 && doubt == nil {
		doubt = h.compareOptions(i, h.links.occ.of(i.link))
	}
	if doubt != nil {
		h.refuse(i, e.Login, doubt, now)
		return
	}
	h.logClaim(i, known, &c)
	if !c.Token.Initial.IsZero() {
		i.token.Token = c.Token
	}
	i.token.state, i.logins.asking[e.KeyID].expired = c.State, c.Presented == session.TokenExpired
	switch {
	case c.Refusal != session.ClaimStands:
		h.refuse(i, e.Login, claimRefusal(&c), now)
	case (c.Decided || !h.set.needsCredentials()) && h.set.wants("", plugin.TLSFinal):
		h.finalOnly(i, e.KeyID, e.Login, now)
	case c.Decided, !h.set.needsCredentials():
		h.verdict(i, e.Login, 0, nil, now)
	case user == "" && !h.set.AuthUserPassOptional:
		h.log(i, logging.Error, "TLS Error: Auth Username/Password was not provided by peer")
		h.log(i, logging.Error, "TLS Error: TLS handshake failed")
		h.end(i, "tls-error")
	default:
		h.ask(i, e.KeyID, e.Login, c.User, c.Pass, now)
	}
}

// maxOdd is how many lines about a client's options go into the log: the client decides how many differ.
const maxOdd = 16

// compareOptions refuses a client whose options do not fit ours (opt-verify), and logs where.
func (c *clientLog) compareOptions(i *instance, ours string) error {
	odd := message.Mismatches(ours, i.occ)
	if len(odd) == 0 {
		return nil
	}
	for _, line := range odd[:min(len(odd), maxOdd)] {
		c.log(i, logging.Debug(7), "%s", line)
	}
	return refusedFor("Option inconsistency warnings triggering disconnect due to --opt-verify")
}

// ask asks the script and the management port about a login. user is the name that they decide about, which
// override-username may have replaced since.
func (h *hub) ask(i *instance, keyID uint8, login uint64, user, pass string, now time.Time) {
	if h.set.tokens().Gives(i.username) {
		_ = i.token.begin(i.username, now) // scripts see its session
	}
	env := h.env(i)
	if user != i.username {
		env.Set("username", user)
	}
	env.Set("password", message.Remap(pass))
	if h.set.ManagementClientAuth {
		ev := i.portEvent(env, h.established)
		if i.stage == session.Established {
			h.port.ClientReauth(ev)
		} else {
			h.port.ClientConnect(ev)
		}
	}
	var who session.Verifiers
	limit := now.Add(i.session.Patience())
	if h.set.ManagementClientAuth {
		who |= session.Port
	}
	if h.set.wants(h.set.AuthUserPassVerify, plugin.AuthUserPassVerify|plugin.TLSFinal) {
		who |= session.Script
		limit = limit.Add(scriptLast)
		h.verifyScript(i, keyID, login, user, pass, env)
	}
	i.session.Ask(login, who, limit)
	h.settle(i, now)
}

// portKnows reports whether the management port was asked about a client: then it hears of its end, and of its addresses.
func (i *instance) portKnows() bool { return i.session.Asked()&session.Port != 0 }

// scriptLast is the time that a script has beyond the login's: the script that is ended for its time logs that itself.
const scriptLast = time.Second

// verifyScript runs auth-user-pass-verify beside the hub. A script that defers (exit status 2) goes on by its control
// file until the client's time is over, which a further step prolongs: the login's refusal ends the wait.
func (h *hub) verifyScript(i *instance, keyID uint8, login uint64, user, pass string, env *hooks.Env) {
	set := h.set
	who := i.question(login, user, pass)
	i.logins.asking[keyID].stop = h.beside(hooks.OfLogin(i.session.MostPatience()), func(ctx context.Context, a *aside) func(*hub) {
		err := a.verifyLogin(ctx, set, who, env)
		return func(h *hub) { h.verdict(i, login, session.Script, err, time.Now()) }
	})
}

// authScript runs the script with its exchange files and returns nil when it accepts.
func (a *aside) authScript(ctx context.Context, set *setup, l question, env *hooks.Env) error {
	files, err := newLoginExchange(set.TmpDir)
	if err != nil {
		return &refusal{log: err.Error()}
	}
	defer files.remove()
	env = env.With(files.loginVars()...)
	call := hooks.Call{Tag: "--auth-user-pass-verify", Type: "user-pass-verify", Command: set.AuthUserPassVerify, Env: env, Client: l.client}
	if set.AuthViaFile {
		env.Unset("password")
		f, err := newMessage(set.TmpDir, "up", []byte(l.user+"\n"+l.pass+"\n"))
		if err != nil {
			return &refusal{log: err.Error()}
		}
		defer f.remove()
		call.Args = []string{f.path("up")}
	} else if set.ScriptSecurity < 3 {
		env.Unset("password")
	}
	running, cancel := l.limit.Context(ctx)
	defer cancel()
	err = a.script(running, l.client, call)
	var failed *hooks.Error
	if errors.As(err, &failed) && failed.Code == 2 {
		further := files.read("apf")
		a.post(func(h *hub) { h.deferred(l, further) })
		err = files.await(ctx, "acf")
	}
	if err == nil {
		return nil
	}
	if failed != nil && failed.Code != 2 && failed.Code != 1 && !errors.Is(ctx.Err(), context.Canceled) {
		a.logLine(l.prefix, logging.Warn, "%v", failed)
	}
	return &refusal{log: "auth-user-pass-verify refused", client: strings.TrimRight(files.read("afr"), "\r\n")}
}

// pendingFromFile tells the client about a further step that a deferring script asked for: seconds, method, text.
func (h *hub) pendingFromFile(i *instance, login uint64, text string) {
	f := strings.SplitN(strings.TrimRight(text, "\r\n"), "\n", 3)
	if _, ok := i.session.Key(login); len(f) < 3 || i.stage == session.Gone || !ok {
		return
	}
	secs, err := strconv.Atoi(strings.TrimSpace(f[0]))
	if err != nil || secs <= 0 {
		return
	}
	now := time.Now()
	if method := strings.TrimSpace(f[1]); !i.info.SSO(method) {
		why := fmt.Sprintf("Authentication failed, required pending auth method '%s' not supported", method)
		h.verdict(i, login, session.Script, &refusal{log: why, client: why}, now)
		return
	}
	h.pending(i, login, strings.TrimRight(f[2], "\r"), time.Duration(secs)*time.Second, now)
}

// verdict hands a verifier's answer about a login to the session: nil accepts.
func (h *hub) verdict(i *instance, login uint64, by session.Verifiers, err error, now time.Time) {
	if i.stage == session.Gone {
		return
	}
	if k, _ := i.session.Key(login); err == nil && len(i.username) > maxCommonName && h.set.takesName(k) && i.session.Decides(login, by) {
		h.log(i, logging.Error, "TLS Auth Error: --username-as-common name specified and username is longer than the maximum permitted Common Name length of %d characters", maxCommonName)
		err = &refusal{log: "user name is too long for a common name"}
	}
	if err == nil && h.set.CCDExclusive && i.session.Decides(login, by) {
		h.exclusive(i, login, by)
		return
	}
	i.session.Verdict(login, by, err, now)
	h.settle(i, now)
}

// exclusive looks beside the hub for the file that ccd-exclusive wants of a client, before its login is accepted by what is
// the last verdict but for that.
func (h *hub) exclusive(i *instance, login uint64, by session.Verifiers) {
	k, _ := i.session.Key(login)
	cn := undef(i.commonName)
	if h.set.takesName(k) {
		cn = undef(i.username)
	}
	set := h.set
	h.beside(hooks.OfEvent, func(_ context.Context, a *aside) func(*hub) {
		path, _, err := findCCD(set.ClientConfigDir, cn, true)
		has := path != ""
		if !has && err == nil && cn != defaultFile && a.deps.Fleet != nil {
			_, has = a.deps.Fleet.File(cn)
		}
		return func(h *hub) {
			if !has || err != nil {
				h.logAccepted(h.set, i)
				err = set.exclusiveRefusal(cn)
			}
			i.session.Verdict(login, by, err, time.Now())
			h.settle(i, time.Now())
		}
	})
}

// exclusiveRefusal refuses a client that has no file of its own under ccd-exclusive.
func (s *setup) exclusiveRefusal(cn string) error {
	return refusedFor(fmt.Sprintf("TLS Auth Error: --client-config-dir authentication failed for common name '%s' file='%s'", cn, ccdPath(s.ClientConfigDir, fileName(cn))))
}

// logAccepted says that the verifiers accept a user name and password.
func (c *clientLog) logAccepted(set *setup, i *instance) {
	if set.needsCredentials() {
		c.log(i, logging.Summary, "TLS: Username/Password authentication succeeded for username '%s' %s", i.username, set.nameSet())
	}
}

// accepted handles a login that all verifiers accept.
func (c *clientLog) accepted(set *setup, i *instance, e session.Accepted) {
	i.logins.asking[e.KeyID].expired = false
	if !e.Deferred {
		c.logAccepted(set, i)
	}
	if set.takesName(e.KeyID) {
		i.commonName = i.username
	}
	c.recordLogin(i, e.KeyID, nil)
}

// refuse turns a login down.
func (h *hub) refuse(i *instance, login uint64, err error, now time.Time) {
	i.session.Refuse(login, err)
	h.settle(i, now)
}

// refused logs a refused login. No data flows from now on, under an older key either; turnAway tells the client once texts flow.
func (c *clientLog) refused(i *instance, e session.Refused) {
	i.tunnel.Store(nil)
	i.logins.stop(e.KeyID)
	switch r := refusalOf(e.Why); {
	case r.line != "":
		c.log(i, r.level, "%s", r.line)
	case !e.Deferred:
		c.log(i, logging.Error, "TLS Auth Error: Auth Username/Password verification failed for peer")
	}
	c.log(i, logging.Detail, "refused: %v", e.Why)
	i.ending = cmp.Or(i.ending, endRefused)
	c.recordLogin(i, e.KeyID, e.Why)
}

// refusalOf returns an error as a refusal.
func refusalOf(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	return &refusal{log: err.Error()}
}

// turnAway sends AUTH_FAILED with the reason of the refusal.
func (h *hub) turnAway(i *instance, e session.TurnedAway, now time.Time) {
	why := refusalOf(e.Why).client
	if why == "" && i.logins.asking[e.KeyID].expired {
		why = expiredText
	}
	msg := "AUTH_FAILED"
	if why != "" && (!strings.HasPrefix(why, "TEMP") || i.info.Has(message.ProtoAuthTemp)) {
		msg += "," + message.Remap(why)
	}
	i.tunnel.Store(nil) // Reject refuses nothing
	h.promoted(h.set, i, session.Introduced{KeyID: e.KeyID})
	h.closeLater(i, session.SentAway, now)
	h.text(i, msg, now)
	if h.initiated(h.set, i, e.KeyID) {
		h.addressKnown(i)
	}
}

// nameSet is stock's addition to the line of a login that gives the client its common name.
func (s *setup) nameSet() string {
	if s.UsernameAsCommonName {
		return "[CN SET]"
	}
	return ""
}

// introduce logs a key that is active and whose login has an answer, if only that the verdict comes later. It reports
// whether the key is the first of its client.
func (c *clientLog) introduce(set *setup, i *instance, e session.Introduced) (first bool) {
	c.promoted(set, i, e)
	return c.initiated(set, i, e.KeyID)
}

// promoted is the first half of introduce, which comes before AUTH_FAILED.
func (c *clientLog) promoted(set *setup, i *instance, e session.Introduced) {
	if i.logins.channel == "" || e.KeyID > 0 {
		return
	}
	trust := "trusted"
	if !e.Accepted {
		trust = "semi-trusted"
	}
	c.log(i, logging.Steps, "TLS: move_session: dest=TM_ACTIVE src=TM_INITIAL reinit_src=1")
	c.log(i, logging.Steps, "TLS: tls_multi_process: initial untrusted session promoted to %s", trust)
}

// initiated is the second half.
func (c *clientLog) initiated(set *setup, i *instance, keyID uint8) (first bool) {
	if i.logins.channel == "" {
		return false
	}
	c.log(i, logging.Summary, "Control Channel: %s", i.logins.channel)
	if keyID == 0 {
		c.log(i, logging.Info, "[%s] Peer Connection Initiated with %s", i.commonName, set.fullAddress(*i.peer.Load()))
	}
	i.logins.channel = ""
	return keyID == 0
}

// admitted handles a key that is active and accepted.
func (h *hub) admitted(i *instance, keyID uint8, now time.Time) {
	if keyID == 0 {
		h.authorise(i, now)
		return
	}
	h.record(i, journal.Event{Kind: journal.KindRenewal})
	h.freshToken(i, h.set.tokens(), now)
}

// pending announces a further step to a client, and gives it time for that.
func (h *hub) pending(i *instance, login uint64, extra string, timeout time.Duration, now time.Time) bool {
	if len(extra) > maxExtra {
		return false
	}
	timeout, ok := i.session.Extend(login, timeout, now)
	if !ok {
		return false
	}
	msg := "AUTH_PENDING"
	if i.info.Has(message.ProtoAuthPendingWord) {
		msg = fmt.Sprintf("AUTH_PENDING,timeout %d", int(timeout.Seconds()))
	}
	h.text(i, msg, now)
	h.text(i, "INFO_PRE,"+extra, now)
	return true
}

// maxExtra is the longest text of a pending step, in bytes.
const maxExtra = 1000

// portEvent describes a client for a notification of the management port.
func (i *instance) portEvent(env *hooks.Env, established int) server.ClientEvent {
	list := env.Newest()
	list = append([]string{"n_clients=" + strconv.Itoa(established)}, list...)
	return server.ClientEvent{CID: i.cid, KID: i.session.Login(), Env: list, PeerInfo: i.info.Lines}
}
