//go:build !unix

package repl

import "context"

// jobs are stopped and continued on unix only.
type jobs struct{}

func newJobs() *jobs                                       { return nil }
func (*jobs) begun()                                       {}
func (*jobs) run(context.Context, <-chan struct{}, func()) {}
