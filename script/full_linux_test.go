package script_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/script"
)

// A full disk under the store, and under a file: an error that says where and why, what was there stays, and it goes on when there is room.
func TestFullDisk(t *testing.T) {
	if testing.Short() || os.Getuid() != 0 {
		t.Skip("it mounts a file system: as root, not with -short")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	filler := filepath.Join(dir, "filler")
	fill := func() {
		f, err := os.Create(filler)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for {
			if _, err := f.Write(make([]byte, 4096)); err != nil {
				return // full
			}
		}
	}
	o := script.Options{Allow: allow(t, "store="+dir+"/s.db,write="+dir+",read="+dir), Burst: 10 * time.Second}
	step := func(src string, want ...string) {
		t.Helper()
		printed, _, err := run(t, &daemon{}, src, o)
		if err != nil {
			t.Fatal(err)
		}
		check(t, "printed", printed, want)
	}
	step(`for i = 1, 20 do assert(store.set("k" .. i, ("v"):rep(100))) end
		print(file.write("`+dir+`/f", "before"), file.append("`+dir+`/log", "one\n"))`, "true\ttrue")
	fill()
	step(`local ok, err
		for i = 1, 100 do
			ok, err = store.set("more" .. i, ("x"):rep(5000))
			if not ok then break end
		end
		print(ok, err:match("`+dir+`/s.db") and err:match("no space left on device"))
		print(#store.get("k1"), #store.get("k20"))
		ok, err = file.write("`+dir+`/f", ("y"):rep(50000))
		print(ok, err:match("`+dir+`/f") and err:match("no space left on device"), file.read("`+dir+`/f"))`,
		"nil\tno space left on device", "100\t100", "nil\tno space left on device\tbefore")
	if left, _ := filepath.Glob(filepath.Join(dir, "*tmp*")); len(left) > 0 {
		t.Errorf("%s are left", strings.Join(left, " "))
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	step(`assert(store.set("again", "1"))
		for i = 1, 20 do assert(#store.get("k" .. i) == 100) end
		print(store.get("again"), file.write("`+dir+`/f", "after"), file.read("`+dir+`/f"))`, "1\ttrue\tafter")
}
