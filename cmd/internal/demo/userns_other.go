//go:build !linux

package demo

import (
	"context"
	"errors"
)

func borrowRoot(context.Context, Options) error {
	return errors.New("the demonstration needs Linux: it makes network namespaces")
}

func settle() error { return nil }
