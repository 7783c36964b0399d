package config

import (
	"fmt"
	"os"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// generalRows are the options about files, logging and the process.
func generalRows() []row {
	return []row{
		{"help", 0, many, inMain, 0, func(*parser, []string) error { return ErrUsage }},
		{"version", 0, 0, inMain, 0, func(*parser, []string) error { return ErrVersion }},
		{"config", 1, 1, mainCCD, 0, (*parser).config},
		{"cd", 1, 1, inMain, 0, (*parser).cd},
		{"reload-compat", 0, 0, inMain | atOnce, 0, flag(func(o *Options) *bool { return &o.ReloadCompat })},
		{"setenv", 1, 2, inMain | anywhere | atOnce, 0, (*parser).setenv},
		{"setenv-safe", 1, 2, mainPush | atOnce, classEnv, func(p *parser, a []string) error {
			p.addEnv("OPENVPN_"+a[0], append(a, "")[1])
			return nil
		}},
		{"ignore-unknown-option", 1, many, inMain | atOnce, 0, func(p *parser, a []string) error {
			for _, name := range a {
				p.o.state.ignoreUnknown = append(p.o.state.ignoreUnknown, strings.TrimPrefix(name, "--"))
			}
			return nil
		}},
		{"daemon", 0, 1, inMain, 0, (*parser).daemon},
		{"syslog", 0, 1, inMain, 0, func(p *parser, a []string) error {
			p.o.Syslog = true
			p.ident(a)
			return nil
		}},
		{"log", 1, 1, inMain, 0, logFile},
		{"log-append", 1, 1, inMain, 0, logFile},
		{"suppress-timestamps", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.SuppressTimestamps })},
		{"machine-readable-output", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.MachineReadableOutput })},
		{"errors-to-stderr", 0, 0, mainPush, classVerb, flag(func(o *Options) *bool { return &o.ErrorsToStderr })},
		{"verb", 1, 1, mainPush | atOnce, classVerb, func(p *parser, a []string) error {
			n, err := integer(p, "verb", a[0], 0, maxSeconds)
			p.o.Verb = min(n, 11)
			return err
		}},
		{"mute", 1, 1, mainPush | atOnce, classVerb, number(0, maxSeconds, func(o *Options) *int { return &o.Mute })},
		{"status", 1, 2, inMain, 0, func(p *parser, a []string) (err error) {
			p.o.Status = a[0]
			if len(a) > 1 {
				p.o.StatusInterval, err = duration(p, "status", a[1])
			}
			return err
		}},
		{"status-version", 1, 1, inMain | atOnce, 0, func(p *parser, a []string) error {
			n, err := integer(p, "status-version", a[0], 0, maxSeconds)
			if err != nil || n < 1 || n > 3 {
				return errorf("--status-version must be 1 to 3")
			}
			p.o.StatusVersion = n
			return nil
		}},
		{"writepid", 1, 1, inMain, 0, text(func(o *Options) *string { return &o.PIDFile })},
		{"user", 1, 1, inMain, 0, text(func(o *Options) *string { return &o.User })},
		{"group", 1, 1, inMain, 0, text(func(o *Options) *string { return &o.Group })},
		{"chroot", 1, 1, inMain, 0, text(func(o *Options) *string { return &o.Chroot })},
		{"nice", 1, 1, inMain, 0, number(-20, 19, func(o *Options) *int { return &o.Nice })},
		{"mlock", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.Mlock })},
		{"remap-usr1", 1, 1, inMain | atOnce, 0, func(p *parser, a []string) error {
			if a[0] != "SIGHUP" && a[0] != "SIGTERM" {
				return errorf("--remap-usr1 parm must be 'SIGHUP' or 'SIGTERM'")
			}
			p.o.RemapUSR1 = a[0]
			return nil
		}},
		{"echo", 0, many, mainAll | atOnce, 0, (*parser).echo},
		{"parameter", 0, many, mainAll | atOnce, 0, (*parser).echo},
		{"tmp-dir", 1, 1, inMain | atOnce, 0, text(func(o *Options) *string { return &o.TmpDir })},
		{"compat-mode", 1, 2, unruled, 0, func(p *parser, a []string) error {
			var v Version
			if n, _ := fmt.Sscanf(a[0], "%d.%d.%d", &v.Major, &v.Minor, &v.Patch); n != 3 {
				return errorf("cannot parse version number for --compat-mode: %s", a[0])
			}
			p.o.CompatMode = v
			return nil
		}},
		{"disable-occ", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.DisableOCC })},
		{"persist-tun", 0, 0, mainPush, classPersist, flag(func(o *Options) *bool { return &o.PersistTun })},
		{"persist-key", 0, 0, mainPush, classPersist, flag(func(o *Options) *bool { return &o.PersistKey })},
		{"persist-remote-ip", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.PersistRemoteIP })},
	}
}

func (p *parser) config([]string) error { return p.include(p.line) }

func (p *parser) cd(a []string) error {
	p.o.CD = a[0]
	if p.env.SkipFiles {
		return nil
	}
	if err := os.Chdir(a[0]); err != nil {
		return fatalf("cd to '%s' failed: %s", a[0], errnoText(err))
	}
	return nil
}

func (p *parser) addEnv(name, value string) {
	p.o.Env = append(p.o.Env, EnvVar{name, value})
}

// setenv adds a variable, but for the few names that are switches.
func (p *parser) setenv(a []string) error {
	name, value := a[0], append(a, "")[1]
	switch {
	case name == "FORWARD_COMPATIBLE" && value == "1":
		p.o.state.forwardCompatible = true
		p.addEnv(name, value) // the only one of them that scripts see
	case name == "GENERIC_CONFIG":
		return errorf("this is a generic configuration and cannot directly be used")
	case name == "REMOTE_RANDOM_HOSTNAME" && len(a) == 1:
		p.o.RemoteRandomHostname = true
	case name == "PUSH_PEER_INFO" && len(a) == 1:
		p.o.PushPeerInfo = true
	case name == "SERVER_POLL_TIMEOUT" && len(a) == 2:
		d, err := duration(p, "SERVER_POLL_TIMEOUT", value)
		p.c.ConnectTimeout = d
		return err
	default:
		p.addEnv(name, value)
	}
	return nil
}

func (p *parser) daemon(a []string) error {
	if p.o.Daemon {
		if len(a) > 0 && a[0] != p.o.Ident {
			p.warn("WARNING: Multiple --daemon directives specified, ignoring --daemon %s. (Note that initscripts sometimes add "+
				"their own --daemon directive.)", a[0])
		}
		return nil
	}
	p.o.Daemon, p.o.Syslog = true, true
	p.ident(a)
	return nil
}

func (p *parser) ident(a []string) {
	if len(a) > 0 {
		p.o.Ident = a[0]
	}
}

func (p *parser) echo(a []string) error {
	text := strings.Join(a, " ")
	if p.cc != nil {
		p.cc.Echo = append(p.cc.Echo, text)
	} else {
		p.o.Echo = append(p.o.Echo, text)
	}
	if strings.HasPrefix(text, "msg") {
		p.note(logging.Steps, "ECHO:%s", text)
	}
	return nil
}

// logFile takes the first file that is named: from there on everything goes to it.
func logFile(p *parser, a []string) error {
	if p.o.Log == "" {
		p.o.Log, p.o.LogAppend = a[0], p.line.Name == "log-append"
	}
	return nil
}
