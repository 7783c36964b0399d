//go:build !linux

package transport

import (
	"errors"
	"fmt"
	"syscall"
)

// errnoName has no names here.
func errnoName(n syscall.Errno) string { return fmt.Sprintf("E%d", int(n)) }

// control refuses the options only Linux has.
func (s *Socket) control(string, syscall.RawConn) error {
	if s.Mark != 0 || s.BindDev != "" {
		return errors.New("mark and bind-dev need Linux")
	}
	return nil
}

func reusePort(int) error { return errors.New("spreading peers over sockets needs Linux") }

func probeOffload(int) (segment, receive bool) { return false, false }

func setPacketInfo(int, bool) error { return errors.New("multihome needs Linux") }

func parseControl([]byte, *Peer) int { return 0 }

func appendControl(dst []byte, _ int, _ Peer, _ bool) []byte { return dst }
