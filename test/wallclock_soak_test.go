//go:build linux && soak

package test

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// setWallClock sets the calendar of a running program of Go off by some seconds. No namespace of the kernel has a calendar, and a static
// program takes no library in the place of another; but it asks the vDSO, whose code in its memory is its own: there the question gets
// an answer from the kernel, and the seconds are added. Clocks that only go forward are left alone.
func setWallClock(t *testing.T, pid int, seconds int8) {
	t.Helper()
	if runtime.GOARCH != "amd64" {
		t.Skip("the code for the vDSO is of amd64")
	}
	code := []byte{
		0xb8, 0xe4, 0, 0, 0, // mov eax, SYS_clock_gettime
		0x0f, 0x05, // syscall
		0x85, 0xff, // test edi, edi
		0x75, 0x04, // jnz over: only CLOCK_REALTIME is 0
		0x48, 0x83, 0x06, byte(seconds), // add qword [rsi], seconds
		0xc3, // over: ret
	}
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	at, err := vdsoFunction(mem, pid, "__vdso_clock_gettime")
	if err != nil {
		t.Fatal(err)
	}
	for try := 0; ; try++ {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // until all threads stand still
		if !anyThreadIn(pid, at, at+int64(len(code))) {
			break
		}
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil || try > 100 {
			t.Fatalf("a thread is always in the code to be replaced: %v", err)
		}
	}
	_, err = mem.WriteAt(code, at)
	if e := syscall.Kill(pid, syscall.SIGCONT); err != nil || e != nil {
		t.Fatal(err, e)
	}
}

// vdsoFunction is where a program has a function of its vDSO.
func vdsoFunction(mem *os.File, pid int, name string) (int64, error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		if !strings.Contains(line, "[vdso]") {
			continue
		}
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
			return 0, err
		}
		image := make([]byte, to-from)
		if _, err := mem.ReadAt(image, from); err != nil {
			return 0, err
		}
		f, err := elf.NewFile(bytes.NewReader(image))
		if err != nil {
			return 0, err
		}
		symbols, err := f.DynamicSymbols()
		if err != nil {
			return 0, err
		}
		for _, s := range symbols {
			if s.Name == name {
				return from + int64(s.Value), nil
			}
		}
	}
	return 0, fmt.Errorf("process %d has no %s", pid, name)
}

// anyThreadIn reports whether a thread of a stopped program is about to run code between two places.
func anyThreadIn(pid int, from, to int64) bool {
	list, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	for _, path := range list {
		f := strings.Fields(fileText(path))
		if len(f) == 0 || f[0] == "running" {
			return true // it does not stand still yet
		}
		pc, err := strconv.ParseInt(strings.TrimPrefix(f[len(f)-1], "0x"), 16, 64)
		if err == nil && from <= pc && pc < to {
			return true
		}
	}
	return false
}

// A running program of ours believes another time, and its clock that only goes forward does not notice.
func TestSoakWallClock(t *testing.T) {
	l := newLab(t)
	s := l.ourServer(t, "--management", l.file("m.sock"), "unix")
	m := manage(t, l.file("m.sock"))
	says := func() time.Duration {
		status, err := m.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return time.Since(status.Updated).Round(time.Second)
	}
	for _, seconds := range []int8{5, -5, 0} {
		setWallClock(t, s.PID(), seconds)
		if got := says(); (got + time.Duration(seconds)*time.Second).Abs() > time.Second {
			t.Errorf("its calendar is %v ahead, and not %d s", -got, seconds)
		}
	}
}
