//go:build !unix

package sandbox

import "time"

var processStart = time.Now()

// processTime stands for the processor time of the process where it cannot be asked for.
func processTime() time.Duration { return time.Since(processStart) }
