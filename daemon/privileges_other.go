//go:build !linux

package daemon

import "errors"

var errLinuxOnly = errors.New("available on Linux only")

func lockMemory() error { return errLinuxOnly }

func canKeepCapabilities() error { return nil }

func keepCapabilities() error { return errLinuxOnly }

func onlyNetAdmin() error { return errLinuxOnly }
