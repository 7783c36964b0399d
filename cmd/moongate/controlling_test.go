//go:build linux

package main

import "syscall"

// controlling makes standard input the controlling terminal of a program in a session of its own.
var controlling = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
