//go:build !unix

package secret

import "os/exec"

func inGroup(*exec.Cmd) {}
