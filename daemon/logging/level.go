package logging

import "log/slog"

// Level describes a line: the lowest verb that shows it, its class and its mute category.
//
//	bits 0-3    verb, 0 to 11
//	bits 4-7    class, one bit
//	bits 24-31  mute category; 0 is never muted
//
// The layout is that of the hexadecimal flags of machine-readable-output.
type Level uint32

// Classes.
const (
	fatal    Level = 0x10
	nonFatal Level = 0x20
	warning  Level = 0x40
	debug    Level = 0x80
)

// Named levels. From Always on they have no class of their own.
const (
	Fatal Level = fatal        // the process ends; shown at every verb
	Alert Level = warning      // something is dangerous; shown at every verb
	Error Level = 1 | nonFatal // something was not done
	Warn  Level = 1 | warning  // something is wrong or deprecated

	Always  Level = 0 // shown at every verb
	Info    Level = 1 // start, stop, life cycle
	Summary Level = 2 // what was agreed: certificates, ciphers, timers
	Steps   Level = 3 // the steps of a connection: texts, addresses, routes
	Detail  Level = 4 // what is behind a step
)

// Func writes one line, formatted as by fmt.Sprintf, if lv shows. Logger.Msg is one.
type Func func(lv Level, format string, args ...any)

// OrDiscard makes a nil Func usable.
func (f Func) OrDiscard() Func {
	if f == nil {
		return func(Level, string, ...any) {}
	}
	return f
}

// At is the level of an ordinary line that shows from verb on.
func At(verb int) Level { return Level(min(max(verb, 0), 11)) }

// Debug is the level of a debugging line that shows from verb on.
func Debug(verb int) Level { return At(verb) | debug }

// Class returns l with the class that a letter of the management log names: F, N, W, D; "I" and "" are none.
func (l Level) Class(flag string) Level {
	l &^= fatal | nonFatal | warning | debug
	switch flag {
	case "F":
		l |= fatal
	case "N":
		l |= nonFatal
	case "W":
		l |= warning
	case "D":
		l |= debug
	}
	return l
}

// Category returns l with a mute category from 1 to 255. Lines of one category in a row are subject to mute.
func (l Level) Category(c uint8) Level { return l&0xffffff | Level(c)<<24 }

// Verb is the lowest verb that shows the line.
func (l Level) Verb() int { return int(l & 15) }

// Flag is the letter of the management log: I, F, N, W, D or none.
func (l Level) Flag() string {
	switch {
	case l&fatal != 0:
		return "F"
	case l&nonFatal != 0:
		return "N"
	case l&warning != 0:
		return "W"
	case l&debug != 0:
		return "D"
	case l == Info:
		return "I"
	default:
		return ""
	}
}

func (l Level) category() uint8 { return uint8(l >> 24) }

// LevelTrace is a slog level below debug, for lines per packet.
const LevelTrace = slog.LevelDebug - 4

// fromSlog maps levels of log/slog.
func fromSlog(l slog.Level) Level {
	switch {
	case l >= slog.LevelError:
		return Error
	case l >= slog.LevelWarn:
		return Warn
	case l >= slog.LevelInfo:
		return At(3)
	case l >= slog.LevelDebug:
		return Debug(7)
	default:
		return Debug(9)
	}
}
