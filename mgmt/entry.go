package mgmt

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrFields tells that a line has fewer fields than its kind needs.
var ErrFields = errors.New("too few fields")

// Flags of log entries, at most one each; many entries have none.
const (
	FlagInfo     = "I"
	FlagFatal    = "F"
	FlagNonFatal = "N"
	FlagWarning  = "W"
	FlagDebug    = "D"
)

// LogEntry is a line of the log history.
//
//	time,flags,text
type LogEntry struct {
	Time  time.Time // the zero Time is filled in by the server
	Flags string    // letters of "IFNWD", or none
	Text  string    // one line; line breaks become blanks
}

// Append adds the line without a terminator.
func (e LogEntry) Append(b []byte) []byte {
	b = strconv.AppendInt(b, e.Time.Unix(), 10)
	b = append(append(b, ','), e.Flags...)
	return AppendText(append(b, ','), e.Text)
}

// String is the line of Append.
func (e LogEntry) String() string { return string(e.Append(nil)) }

// ParseLog reads a line of the log history, or what follows ">LOG:". The error is ErrFields, or about the time.
func ParseLog(line string) (LogEntry, error) {
	f := strings.SplitN(line, ",", 3)
	if len(f) < 3 {
		return LogEntry{}, fmt.Errorf("log line %q: %w", line, ErrFields)
	}
	t, err := parseTime(f[0])
	if err != nil {
		return LogEntry{}, fmt.Errorf("log line %q: %w", line, err)
	}
	return LogEntry{t, f[1], f[2]}, nil
}

// EchoEntry is a line of the echo history.
//
//	time,text
type EchoEntry struct {
	Time time.Time // the zero Time is filled in by the server
	Text string
}

// Append adds the line without a terminator.
func (e EchoEntry) Append(b []byte) []byte {
	b = strconv.AppendInt(b, e.Time.Unix(), 10)
	return AppendText(append(b, ','), e.Text)
}

// String is the line of Append.
func (e EchoEntry) String() string { return string(e.Append(nil)) }

// ParseEcho reads a line of the echo history, or what follows ">ECHO:". The error is ErrFields, or about the time.
func ParseEcho(line string) (EchoEntry, error) {
	ts, text, ok := strings.Cut(line, ",")
	if !ok {
		return EchoEntry{}, fmt.Errorf("echo line %q: %w", line, ErrFields)
	}
	t, err := parseTime(ts)
	if err != nil {
		return EchoEntry{}, fmt.Errorf("echo line %q: %w", line, err)
	}
	return EchoEntry{t, text}, nil
}

// ByteCount are bytes on the link, received and sent, since the process or the client instance began.
type ByteCount struct{ In, Out uint64 }

// Append adds "in,out".
func (c ByteCount) Append(b []byte) []byte {
	b = strconv.AppendUint(b, c.In, 10)
	return strconv.AppendUint(append(b, ','), c.Out, 10)
}

// ParseByteCount reads what follows ">BYTECOUNT:": received,sent. The error is ErrFields, or about the number.
func ParseByteCount(s string) (ByteCount, error) {
	in, out, ok := strings.Cut(s, ",")
	if !ok {
		return ByteCount{}, fmt.Errorf("byte count %q: %w", s, ErrFields)
	}
	var c ByteCount
	var err error
	if c.In, err = strconv.ParseUint(in, 10, 64); err == nil {
		c.Out, err = strconv.ParseUint(out, 10, 64)
	}
	if err != nil {
		return ByteCount{}, fmt.Errorf("byte count %q: %w", s, err)
	}
	return c, nil
}

func parseTime(s string) (time.Time, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("time %q is not a number", s)
	}
	return time.Unix(n, 0), nil
}
