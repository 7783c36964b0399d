//go:build unix

package logging

import "log/syslog"

// syslogWriter connects at the first line and again after an error; lines that cannot be sent are lost, as with the C
// library.
type syslogWriter struct {
	ident string
	w     *syslog.Writer
}

func newSyslog(ident string) *syslogWriter {
	if ident == "" {
		ident = "openvpn"
	}
	s := &syslogWriter{ident: ident}
	s.connect() // early: a later chroot hides the socket
	return s
}

func (s *syslogWriter) connect() bool {
	if s.w == nil {
		s.w, _ = syslog.New(syslog.LOG_DAEMON|syslog.LOG_NOTICE, s.ident)
	}
	return s.w != nil
}

func (s *syslogWriter) write(lv Level, text []byte) {
	if !s.connect() {
		return
	}
	send := s.w.Notice
	switch {
	case lv&(fatal|nonFatal) != 0:
		send = s.w.Err
	case lv&warning != 0:
		send = s.w.Warning
	}
	_ = send(string(text))
}

func (s *syslogWriter) close() {
	if s.w != nil {
		_ = s.w.Close()
	}
}
