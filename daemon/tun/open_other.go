//go:build !linux

package tun

import (
	"errors"
	"net"
	"syscall"

	"github.com/songgao/water"
)

const errBadFD = syscall.EBADF

func waterConfig(cfg Config, _ bool) water.Config {
	c := water.Config{DeviceType: water.TUN}
	if cfg.Type == TAP {
		c.DeviceType = water.TAP
	}
	return c
}

func open(cfg Config) (Device, error) { return openWater(cfg, cfg.Persist) }

func deviceMTU(name string) (int, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	return i.MTU, nil
}

var errPersist = errors.New("persistent devices need Linux")

// CreatePersistent needs Linux.
func CreatePersistent(Config, int, int) (string, error) { return "", errPersist }

// RemovePersistent needs Linux.
func RemovePersistent(Config) (string, error) { return "", errPersist }
