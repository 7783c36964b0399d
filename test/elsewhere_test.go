//go:build !linux

package test

import "testing"

func TestAgainstStock(t *testing.T) {
	t.Skip("everything against the stock daemon needs network namespaces: run it on Linux, as root")
}
