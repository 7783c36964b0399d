//go:build linux

package test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// aboutFiles are lines about files that cannot be opened or written.
var aboutFiles = regexp.MustCompile(`fails with|[Cc]annot open|Open error|Error redirecting`)

// A daemon that cannot make its files, on a disk that is read-only or has no room for another file, says and does what stock does:
// it ends where programs wait for the file, and goes on where they do not.
func TestFilesThatCannotBeMade(t *testing.T) {
	t.Parallel()
	disks := map[string]string{
		"read-only": "mount -t tmpfs none DISK && touch DISK/there && mount -o remount,ro DISK",
		"no inodes": "mount -t tmpfs -o nr_inodes=2 none DISK && touch DISK/there",
	}
	for disk, options := range map[string][]string{
		"read-only": {"--status DISK/new", "--status DISK/there", "--writepid DISK/new", "--tls-export-cert DISK"},
		"no inodes": {"--status DISK/new", "--writepid DISK/new"},
	} {
		for _, option := range options {
			t.Run(disk+"/"+option, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				inside := strings.NewReplacer("DISK", l.file("disk"))
				said := make(map[string]string)
				for _, who := range []string{"stock", "ours"} {
					s := l.startWith(t, who, "mkdir -p "+l.file("disk")+" && "+inside.Replace(disks[disk]), l.serverArgs(strings.Fields(inside.Replace(option))...))
					await(t, "the server is up or gone", upLimit, func() bool {
						log := s.Log()
						return strings.Contains(log, up) || strings.Contains(log, "Exiting due to fatal error") || strings.Contains(log, "Use --help")
					})
					var lines []string
					for line := range strings.SplitSeq(s.Log(), "\n") {
						if aboutFiles.MatchString(line) {
							lines = append(lines, regexp.MustCompile(`^\d{4}-\S+ \S+ `).ReplaceAllString(line, ""))
						}
					}
					said[who] = strings.Join(lines, "\n")
					if strings.Contains(s.Log(), up) {
						said[who] += "\nup"
						terminate(t, s)
					}
				}
				if diff := cmp.Diff(said["stock"], said["ours"]); diff != "" {
					t.Errorf("(-stock +ours):\n%s", diff)
				}
			})
		}
	}
}

// On a disk without room the pool's file stays as it was, and is written when there is room again.
func TestFilesOnAFullDisk(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var before strings.Builder // fills a page almost: a client more does not fit
	for i := range 120 {
		fmt.Fprintf(&before, "%-21s,10.8.0.%d,\n", fmt.Sprintf("somebody.%d", i), 100+i)
	}
	disk := l.file("disk")
	pool := l.write(t, "pool", []byte(before.String()))
	prepare := strings.NewReplacer("DISK", disk, "POOL", pool).Replace("mkdir DISK && mount -t tmpfs -o size=64k none DISK && cp POOL DISK/pool && ! cat /dev/zero >DISK/fill")
	s := l.startWith(t, "ours", prepare, l.serverArgs("--ifconfig-pool-persist", disk+"/pool", "1"))
	s.WaitLine(t, up, upLimit)
	inside := fmt.Sprintf("/proc/%d/root%s/", s.PID(), disk)
	l.stockClient(t, "--nobind")
	s.WaitLine(t, "no space left on device", upLimit)
	if got := read(inside + "pool"); got != before.String() {
		t.Errorf("without room the file went from %d bytes to %d: %q", before.Len(), len(got), got[max(0, len(got)-60):])
	}
	if err := os.Remove(inside + "fill"); err != nil {
		t.Fatal(err)
	}
	written(t, inside+"pool", "client1,10.8.0.")
	terminate(t, s)
}
