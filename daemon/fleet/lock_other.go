//go:build !unix

package fleet

import "os"

// lockFile makes a file. Other processes are kept out by the node's name alone.
func lockFile(path string) (*os.File, error) { return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) }
