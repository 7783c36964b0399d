//go:build unix

package config

import "syscall"

// access asks the system whether this process may use path, as access(2) does.
func access(path string, mode uint32) error { return syscall.Access(path, mode) }
