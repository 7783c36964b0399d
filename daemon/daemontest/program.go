package daemontest

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// programVariable in the environment is the path of our program, where it is built already: make test builds it once for all.
const programVariable = "MOONGATE_PROGRAM"

// BuildProgram puts our program at path as it is released, without cgo.
func BuildProgram(path string) error {
	if built := os.Getenv(programVariable); built != "" {
		b, err := os.ReadFile(built)
		if err != nil {
			return fmt.Errorf("%s: %w", programVariable, err)
		}
		// A process that another test starts meanwhile would have the file open for writing, and path could not be executed.
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		return os.WriteFile(path, b, 0o755)
	}
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", path, "github.com/moongate-vpn/moongate/cmd/moongate")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}
