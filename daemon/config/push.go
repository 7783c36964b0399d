package config

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/mgmt/lexer"
)

// PushResult says what became of a pulled list.
type PushResult struct {
	// Notes are lines for the log, in order: filters, skipped options, the classes of what changed.
	Notes []Note
	// Rejected is the option a pull filter refused; the client then restarts. Nothing was applied.
	Rejected string
	// Cipher is the data cipher among the options that were applied, or "".
	Cipher string
	// Changed are the classes of what changed, as the OPTIONS IMPORT lines name them.
	Changed []string
	// Digest identifies the pulled options that shape the device and its routes. With persist-tun an equal digest
	// means that both stay. The order of different options does not count: an update moves them.
	Digest [32]byte

	wrong error // the first option that was skipped because it is wrong or not allowed
}

// ErrPulledDNS means that the pulled resolver settings are not usable.
var ErrPulledDNS = errors.New("process-push-msg-failed")

// ErrPulledCompression means that the server compresses, and allow-compression says no: no packet of it could be read.
var ErrPulledCompression = errors.New("Compression is not allowed since allow-compression is set to 'stub-only'") //nolint:staticcheck // stock's line

// ApplyPushed applies the options of a push reply, all parts together and without the word PUSH_REPLY, to o and to its
// profile c. Both are the caller's copies for one connection: see Clone. Notes number the options of each part, which push-continuation ends.
//
// Options that are wrong or not allowed are skipped with a note. The error wraps ErrPulledDNS and means that the
// connection cannot go on with what was pulled: a DNS server without address. The result is valid with an error, too.
func (o *Options) ApplyPushed(c *Connection, list []string) (*PushResult, error) {
	res := &PushResult{}
	kept, ok := o.filterPushed(list, res)
	if !ok {
		return res, nil
	}
	return res, o.applyPushed(c, kept, res)
}

// applyPushed is ApplyPushed behind the filters.
func (o *Options) applyPushed(c *Connection, list []string, res *PushResult) error {
	before := o.Notes
	o.Notes = nil
	p := &parser{o: o, c: c, ctx: pushContext}
	var shaping [][2]string // name and line
	line := 0               // within its message
	for _, entry := range list {
		line++
		words, err := lexer.Split(entry, fmt.Sprintf("%s:%d", pushList, line))
		if err == nil && len(words) > 0 {
			err = p.apply(Directive{Name: words[0], Params: words[1:], File: pushList, Line: line})
		}
		if len(words) > 0 && words[0] == "push-continuation" {
			line = 0
		}
		if err != nil {
			p.warn("%s", err.Error())
			res.wrong = cmp.Or(res.wrong, err)
		}
		if err == nil && len(words) == 2 && words[0] == "cipher" {
			res.Cipher = words[1]
		}
		if shapesDevice(words) {
			shaping = append(shaping, [2]string{words[0], entry})
		}
	}
	res.Digest = digest(shaping)
	if o.AllowCompression == "no" && o.Compressed {
		res.Notes, o.Notes = append(res.Notes, o.Notes...), before
		return ErrPulledCompression
	}
	bad := o.orderDNS()
	if bad != "" {
		p.note(logging.Error, "ERROR: %s", bad)
	} else {
		res.Changed = p.imported(c)
	}
	res.Notes = append(res.Notes, o.Notes...)
	o.Notes = before
	if bad != "" {
		return fmt.Errorf("%w: %s", ErrPulledDNS, bad)
	}
	return nil
}

// digest sums up lines, sorted by option.
func digest(lines [][2]string) (sum [32]byte) {
	slices.SortStableFunc(lines, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	h := sha256.New()
	for _, l := range lines {
		fmt.Fprintf(h, "%s\n", l[1])
	}
	h.Sum(sum[:0])
	return sum
}

// filterPushed asks the pull filters about each option, and leaves an empty one in the place of what they take out: lines are counted as they
// came. It reports false when one was rejected.
func (o *Options) filterPushed(list []string, res *PushResult) ([]string, bool) {
	if len(o.PullFilters) == 0 {
		return list, true
	}
	var kept []string
	note := func(lv logging.Level, format, opt string) {
		res.Notes = append(res.Notes, Note{lv, fmt.Sprintf(format, opt)})
	}
	for _, opt := range list {
		switch o.pullFilter(opt) {
		case "ignore":
			note(logging.Steps, "Pushed option removed by filter: '%s'", opt)
			kept = append(kept, "")
		case "reject":
			res.Notes = append(res.Notes, Note{logging.Warn, fmt.Sprintf("Pushed option rejected by filter: '%s'. Restarting.", opt)})
			res.Rejected = opt
			return nil, false
		case "accept":
			note(logging.Detail, "Pushed option accepted by filter: '%s'", opt)
			kept = append(kept, opt)
		default:
			kept = append(kept, opt)
		}
	}
	return kept, true
}

// pullFilter returns the action of the first filter that knows the start of opt, or nothing. Filters see the option as it is
// applied, its words with one blank between them: a server that writes `"route"` or `route\ttab` does not get by. What
// cannot be split is not applied either, and is compared as it stands.
func (o *Options) pullFilter(opt string) string {
	if words, err := lexer.Split(opt, pushList); err == nil {
		opt = strings.Join(words, " ")
	}
	for _, f := range o.PullFilters {
		if strings.HasPrefix(opt, f.Prefix) {
			return f.Action
		}
	}
	return ""
}

// shapesDevice reports whether a pulled option may change the device or its routes.
func shapesDevice(words []string) bool {
	if len(words) == 0 {
		return false
	}
	r := table()[words[0]]
	return r == nil || r.facts&ownToSession == 0
}

// imported names the classes of what was applied.
func (p *parser) imported(c *Connection) []string {
	var names []string
	for _, x := range []struct {
		class class
		level logging.Level
		text  string
	}{
		{classTimers, logging.At(7), "timers and/or timeouts modified"},
		{classExitNotify, logging.At(7), "explicit notify parm(s) modified"},
		{classCompression, logging.At(7), "compression parms modified"},
		{classVerb, logging.Steps, "--verb and/or --mute level changed"},
		{classShaper, logging.Steps, "traffic shaper enabled"},
		{classSockBuf, logging.Steps, "--sndbuf/--rcvbuf options modified"},
		{classSockFlags, logging.Steps, "--socket-flags option modified"},
		{classPersist, logging.Steps, "--persist options modified"},
		{classIfconfig, logging.Steps, "--ifconfig/up options modified"},
		{classRoutes, logging.Steps, "route options modified"},
		{classRouteExtras, logging.Steps, "route-related options modified"},
		{classDNS, logging.Steps, "--ip-win32 and/or --dhcp-option options modified"},
		{classEnv, logging.Steps, "environment modified"},
		{classPeerID, logging.At(7), "peer-id set"},
		{classCrypto, logging.At(7), "data channel crypto options modified"},
		{classTunMTU, logging.Steps, fmt.Sprintf("tun-mtu set to %d", c.TunMTU)},
	} {
		if p.changed&x.class != 0 {
			names = append(names, x.text)
			p.note(x.level, "OPTIONS IMPORT: %s", x.text)
			if x.class == classSockFlags && p.o.TCPNoDelay && c.Proto.IsUDP() {
				p.note(logging.Info, noNoDelay)
			}
		}
	}
	if n, most := c.TunMTU, c.TunMTUMax; p.changed&classTunMTU != 0 && n > most {
		p.note(logging.Warn, "Server-pushed tun-mtu is too large, please add tun-mtu-max %d in the client configuration", n)
		c.TunMTU = most
	}
	return names
}
