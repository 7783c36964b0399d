package owner

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestMain lets the test's own binary be a daemon that tells when its owner ends, and one that hands on to another process first.
func TestMain(m *testing.M) {
	switch os.Getenv("OWNER_TEST") {
	case "":
		os.Exit(m.Run())
	case "hand on":
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "OWNER_TEST=daemon")
		cmd.Stdout = os.Stdout
		HandOn(cmd, Take())
		if cmd.Start() != nil {
			os.Exit(1)
		}
	default:
		theirs := Take()
		if theirs == nil {
			io.WriteString(os.Stdout, "no owner\n")
			return
		}
		io.WriteString(os.Stdout, "ready\n")
		if child := exec.Command("sleep", "60"); child.Start() == nil { // inherits nothing
			defer child.Process.Kill()
		}
		if Wait(context.Background(), theirs) {
			io.WriteString(os.Stdout, "over\n")
			return
		}
		io.WriteString(os.Stdout, "alone\n")
	}
}

func TestOwner(t *testing.T) {
	for _, tt := range []struct {
		name, role, want string
		end              func(h *Hold) error
	}{
		{"closed", "daemon", "over\n", (*Hold).Close},
		{"let go", "daemon", "alone\n", (*Hold).LetGo},
		{"handed on", "hand on", "over\n", (*Hold).Close},
		{"handed on and let go", "hand on", "alone\n", (*Hold).LetGo},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "OWNER_TEST="+tt.role)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			cmd.Stdout = w
			h, err := New(cmd, cmd.Start)
			w.Close()
			if err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer h.Close()
			r.SetReadDeadline(time.Now().Add(15 * time.Second))
			said := bufio.NewReader(r)
			for _, want := range []string{"ready\n", tt.want} {
				if got, err := said.ReadString('\n'); got != want {
					t.Fatalf("the daemon says %q (%v), want %q", got, err, want)
				}
				if want == "ready\n" {
					if err := tt.end(h); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}

func TestWithoutOwner(t *testing.T) {
	for _, fd := range []string{"", "no number", "1", "2", "9999"} {
		t.Setenv(mark, fd)
		if f := Take(); f != nil {
			t.Errorf("%q is taken for a pipe", fd)
		}
		if _, set := os.LookupEnv(mark); set {
			t.Errorf("%q stays in the environment of children", fd)
		}
	}
}
