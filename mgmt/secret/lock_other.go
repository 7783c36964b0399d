//go:build !unix

package secret

import (
	"context"
	"os"
	"time"
)

func lock(context.Context, *os.File, time.Duration) error { return nil }
