package config

import "io"

// Env is what Parse needs from outside. The zero Env is that of the process.
type Env struct {
	Getenv func(string) string // nil: os.Getenv
	Stdin  io.Reader           // for "config stdin"; nil: os.Stdin

	// SkipFiles leaves out the checks of files, scripts and folders, and the change of directory that cd asks for.
	SkipFiles bool
}

// Parse reads a command line in OpenVPN's form, without the program name: either one word, the name of a file, or
// options that begin with two dashes and their parameters.
//
// The error is ErrUsage, ErrVersion or an *Error; in the latter case the options read so far are returned as well,
// since they tell where the message has to go (Log, Syslog, ErrorsToStderr). Otherwise the Options are complete.
func Parse(args []string, env Env) (*Options, error) {
	return nil, ErrUsage
}

// Directive is one option as read.
type Directive struct {
	Name   string
	Params []string // a block is the only parameter of its option
	Inline bool
	File   string
	Line   int
}

type parseState struct{}
