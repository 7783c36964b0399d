package tun

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// ErrGone says that the system removed the device while it was open.
var ErrGone = errors.New("device was removed")

// defaultNode is the clone device of Linux.
const defaultNode = "/dev/net/tun"

// maxName is the longest name of a network device.
const maxName = 15

// Open opens a device. Errors are *OpenError, whose text is the log's.
func Open(cfg Config) (Device, error) {
	if cfg.Type == Null {
		return newNull(), nil
	}
	if len(cfg.Name) > maxName {
		return nil, &OpenError{Step: stepName, Name: cfg.Name, Err: syscall.EINVAL}
	}
	return open(cfg)
}

// wantOffload reports whether the fast back end may be tried.
func (c *Config) wantOffload() bool {
	return c.Type == TUN && !c.DisableOffload && os.Getenv("MOONGATE_DISABLE_OFFLOAD") == ""
}

// bare reports that the kernel chooses the number.
func (c *Config) bare() bool { return c.Name == "" || c.Name == c.Type.String() }

// openStep is where opening failed.
type openStep uint8

const (
	stepNode openStep = iota
	stepName
	stepSetup
)

// OpenError says why a device could not be opened.
type OpenError struct {
	Step openStep
	Node string
	Name string
	What string // the setting that failed, for later steps
	Err  error
}

// Error prints, for example, "ERROR: Cannot ioctl TUNSETIFF tun0: Device or resource busy (errno=16)".
func (e *OpenError) Error() string {
	cause := e.Err.Error()
	var n syscall.Errno
	if errors.As(e.Err, &n) {
		text := n.Error()
		cause = fmt.Sprintf("%s%s (errno=%d)", strings.ToUpper(text[:1]), text[1:], int(n))
	}
	switch e.Step {
	case stepNode:
		return fmt.Sprintf("ERROR: Cannot open TUN/TAP dev %s: %s", e.Node, cause)
	case stepName:
		return fmt.Sprintf("ERROR: Cannot ioctl TUNSETIFF %s: %s", e.Name, cause)
	}
	return fmt.Sprintf("ERROR: Cannot set %s of %s: %s", e.What, e.Name, cause)
}

// Unwrap gives the cause.
func (e *OpenError) Unwrap() error { return e.Err }
