package tuntest

import (
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/tun"
)

var _ tun.Device = (*Device)(nil)

func TestPair(t *testing.T) {
	a, b := Pair(1500)
	defer a.Close()
	defer b.Close()
	if n, err := a.Write([][]byte{[]byte("__one"), []byte("__two")}, 2); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	bufs, sizes := make([][]byte, 4), make([]int, 4)
	for i := range bufs {
		bufs[i] = make([]byte, 10)
	}
	n, err := b.Read(bufs, sizes, 3)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range n {
		got = append(got, string(bufs[i][3:3+sizes[i]]))
	}
	if diff := cmp.Diff([]string{"one", "two"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestQueue(t *testing.T) {
	d := New("tun0", false, 1400)
	for range queueLen {
		if err := d.Inject([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Inject([]byte("x")); !errors.Is(err, ErrFull) {
		t.Errorf("over the limit: %v", err)
	}
	if _, err := d.Write([][]byte{[]byte("hi")}, 0); err != nil {
		t.Fatal(err)
	}
	if got := string(<-d.Take()); got != "hi" {
		t.Errorf("took %q", got)
	}
	_ = d.Close()
	if err := d.Inject(nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}
