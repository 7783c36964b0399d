package tun

import "errors"

// Open opens a device. Errors are *OpenError, whose text is the log's.
func Open(cfg Config) (Device, error) { return nil, errors.ErrUnsupported }

// CreatePersistent makes a device that outlives the process (option mktun) and returns its name; uid and gid own it, -1 means nobody in particular.
func CreatePersistent(cfg Config, uid, gid int) (string, error) { return "", errors.ErrUnsupported }

// RemovePersistent ends the persistence of a device (option rmtun), which removes it, and returns its name.
func RemovePersistent(cfg Config) (string, error) { return "", errors.ErrUnsupported }
