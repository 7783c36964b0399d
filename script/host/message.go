package host

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/script"
	"github.com/moongate-vpn/moongate/script/lib"
)

// Spec is a script and its bounds.
type Spec struct {
	Path     string
	Args     []string
	ReadDirs []string
	Allow    script.Allow
	Memory   int64 // bytes; 0 is the default
	Timeout  time.Duration
	Burst    time.Duration
	UID, GID int // to become before the script runs; negative: stay
}

func (s Spec) memory() int64 {
	if s.Memory <= 0 {
		return script.DefaultMemory
	}
	return s.Memory
}

// message is one line, in either direction; one of its fields is set.
type message struct {
	Begin  *begin             `json:",omitempty"`
	Drain  bool               `json:",omitempty"`
	Ready  bool               `json:",omitempty"`
	Log    *logged            `json:",omitempty"`
	Print  *string            `json:",omitempty"`
	Status *mgmt.ScriptStatus `json:",omitempty"`
	End    *end               `json:",omitempty"`
	Ask    *question          `json:",omitempty"`
	Answer *answer            `json:",omitempty"`
	Take   *place             `json:",omitempty"`
	Leave  string             `json:",omitempty"` // an address that was taken
	Unask  int                `json:",omitempty"` // the number of a question that nobody waits for any more
	Probe  bool               `json:",omitempty"` // wants a sign of life
	Alive  bool               `json:",omitempty"` // is one
}

// question is one of the script; the answer has its number.
type question struct {
	ID int
	script.Question
}

type answer struct {
	ID          int
	Text, Error string `json:",omitempty"`
}

// place is an address that the script is about to serve at; the answer has its number, and a text if it is shared.
type place struct {
	ID   int
	Name string
}

type begin struct{ All bool }

// logged is a log record.
type logged struct {
	Level slog.Level
	Text  string
	Attrs [][2]string
}

// end tells how the script ended.
type end struct {
	Code  int           `json:",omitempty"` // of moongate.stop
	Error *script.Error `json:",omitempty"`
	Text  string        `json:",omitempty"` // of any other error
}

func endOf(err error) *end {
	var own *script.Error
	var exit *script.ExitError
	switch {
	case err == nil:
		return &end{}
	case errors.As(err, &exit):
		return &end{Code: exit.Code}
	case errors.As(err, &own):
		return &end{Error: own}
	}
	return &end{Text: err.Error()}
}

func (e *end) err() error {
	switch {
	case e.Error != nil:
		return e.Error
	case e.Code != 0:
		return &script.ExitError{Code: e.Code}
	case e.Text != "":
		return errors.New(e.Text)
	}
	return nil
}

// maxMessage bounds a line, in bytes. Texts of scripts are cut before.
const (
	maxMessage = 1 << 20
	maxText    = 64 << 10
)

// reader reads messages.
type reader struct{ in *bufio.Scanner }

func newReader(r io.Reader) *reader {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 4096), maxMessage)
	return &reader{in}
}

func (r *reader) next() (message, error) {
	var m message
	if !r.in.Scan() {
		if err := r.in.Err(); err != nil {
			return m, err
		}
		return m, io.EOF
	}
	err := json.Unmarshal(r.in.Bytes(), &m)
	return m, err
}

func cut(s string) string { return lib.Clip(s, maxText) }
