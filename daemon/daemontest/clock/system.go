package clock

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// A System is the wall clock of one or more processes, which a test may set.
type System struct{ path string }

// NewSystem makes a clock that shows the right time. Its file says in 8 bytes by how many seconds it is wrong.
func NewSystem(t testing.TB) *System {
	t.Helper()
	if !canFollow {
		t.Skip("the wall clock of a process can be set on linux/amd64 only: it takes a few instructions in front of the kernel's clock")
	}
	s := &System{path: t.TempDir() + "/clock"}
	s.Set(t, 0)
	return s
}

// Inherited is the clock that this process follows, or nil.
func Inherited() *System {
	if path := os.Getenv(variable); path != "" {
		return &System{path: path}
	}
	return nil
}

// Variable in the environment of a program that calls Follow gives it the clock.
func (s *System) Variable() string { return variable + "=" + s.path }

// Set sets the clock to the right time and step, in whole seconds.
func (s *System) Set(t testing.TB, step time.Duration) {
	t.Helper()
	f, err := os.OpenFile(s.path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(int64(step/time.Second))), 0); err != nil {
		t.Fatal(err)
	}
}

const variable = "MOONGATE_TEST_CLOCK"

// Follow makes the clock of the environment the wall clock of this process: time.Now shows it from now on, and elapsed time stays
// what it is, as after settimeofday. Without one in the environment it does nothing. A test program calls it first in TestMain.
var Follow = sync.OnceFunc(func() {
	path := os.Getenv(variable)
	if path == "" {
		return
	}
	f, err := os.Open(path)
	if err != nil {
		panic(fmt.Sprintf("clock: %v", err))
	}
	defer f.Close()
	page, err := syscall.Mmap(int(f.Fd()), 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(fmt.Sprintf("clock: %v", err))
	}
	follow((*int64)(unsafe.Pointer(&page[0])))
})
