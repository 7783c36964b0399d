package config

import "time"

// timerRows are the clocks of a session.
func timerRows() []row {
	return []row{
		{"ping", 1, 1, mainAll | forNew | ownToSession, classTimers, seconds(func(o *Options) *time.Duration { return &o.Ping })},
		{"ping-restart", 1, 1, mainAll | forNew | ownToSession, classTimers, func(p *parser, a []string) (err error) {
			p.o.PingRestart, err = duration(p, "ping-restart", a[0])
			p.o.PingExit, p.o.state.pingRestartSet = 0, true
			return err
		}},
		{"ping-exit", 1, 1, mainAll | ownToSession, classTimers, func(p *parser, a []string) (err error) {
			p.o.PingExit, err = duration(p, "ping-exit", a[0])
			p.o.PingRestart, p.o.state.pingRestartSet = 0, true
			return err
		}},
		{"ping-timer-rem", 0, 0, mainAll, classTimers, flag(func(o *Options) *bool { return &o.PingTimerRem })},
		{"inactive", 1, 2, mainAll | atOnce, classTimers, func(p *parser, a []string) (err error) {
			if p.o.Inactive, err = duration(p, "inactive", a[0]); err == nil && len(a) > 1 {
				p.o.InactiveBytes, err = integer[int64](p, "inactive", a[1], 0, 1<<62)
			}
			return err
		}},
		{"session-timeout", 1, 1, mainAll | atOnce, classTimers, seconds(func(o *Options) *time.Duration { return &o.SessionTimeout })},
		{"keepalive", 2, 2, inMain | forNew | inUpdate, 0, func(p *parser, a []string) error {
			ping, err := integer(p, "keepalive", a[0], -maxSeconds, maxSeconds)
			if err != nil {
				return err
			}
			timeout, err := integer(p, "keepalive", a[1], -maxSeconds, maxSeconds)
			p.o.state.keepalive = &keepalive{ping, timeout}
			return err
		}},
	}
}
