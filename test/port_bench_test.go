//go:build linux

package test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// heldPort starts a daemon that waits in its hold and returns the path of its management socket. Nothing is logged
// but to the histories, so that the port alone is measured.
func heldPort(b *testing.B, stock bool) string {
	b.Helper()
	dir := b.TempDir()
	sock := filepath.Join(dir, "m.sock")
	args := []string{
		"--dev", "null", "--ifconfig-noexec", "--client", "--remote", "127.0.0.1", "1", "--nobind", "--auth-user-pass", "--ca", "/dev/null",
		"--management", sock, "unix", "--management-hold", "--management-query-passwords", "--verb", "3", "--log", filepath.Join(dir, "log"),
	}
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	if stock {
		exe = daemontest.RequireOpenVPN(b)
	}
	cmd := exec.CommandContext(context.Background(), exe, args...)
	cmd.Env = append(os.Environ(), asDaemon+"=1")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("unix", sock)
		if err == nil {
			conn.Close()
			return sock
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			b.Fatalf("no port: %v\n%s", err, log)
		}
	}
}

// rawSeat is a client without any library.
func rawSeat(sock string) (net.Conn, *bufio.Reader, error) {
	conn, err := net.Dial("unix", sock)
	if err != nil {
		return nil, nil, err
	}
	r := bufio.NewReaderSize(conn, 64<<10)
	conn.SetDeadline(time.Now().Add(10 * time.Minute))
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			conn.Close()
			return nil, nil, err
		}
		if strings.HasPrefix(line, ">HOLD:") {
			return conn, r, nil
		}
	}
}

// exchange runs n commands, window of them on their way at a time.
func exchange(conn net.Conn, r *bufio.Reader, n, window int) error {
	for n > 0 {
		w := min(n, window)
		if _, err := conn.Write([]byte(strings.Repeat("pid\n", w))); err != nil {
			return err
		}
		for range w {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return err
			}
			if !strings.HasPrefix(string(line), "SUCCESS: pid=") {
				return fmt.Errorf("line %q", line)
			}
		}
		n -= w
	}
	return nil
}

// BenchmarkPortCommands is management commands per second: one seat and sixteen, one command at a time and 64 in flight, our
// daemon and the stock one, which serves one seat.
func BenchmarkPortCommands(b *testing.B) {
	for _, stock := range []bool{true, false} {
		name := "moongate"
		if stock {
			name = "stock"
		}
		for _, seats := range []int{1, 16} {
			if stock && seats > 1 {
				continue
			}
			for _, window := range []int{1, 64} {
				b.Run(fmt.Sprintf("%s/seats=%d/inflight=%d", name, seats, window), func(b *testing.B) {
					sock := heldPort(b, stock)
					conns, readers := make([]net.Conn, seats), make([]*bufio.Reader, seats)
					for i := range seats {
						var err error
						if conns[i], readers[i], err = rawSeat(sock); err != nil {
							b.Fatal(err)
						}
						defer conns[i].Close()
					}
					b.ResetTimer()
					var wg sync.WaitGroup
					for i := range seats {
						n := b.N / seats
						if i < b.N%seats {
							n++
						}
						wg.Go(func() {
							if err := exchange(conns[i], readers[i], n, window); err != nil {
								b.Error(err)
							}
						})
					}
					wg.Wait()
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
				})
			}
		}
	}
}
