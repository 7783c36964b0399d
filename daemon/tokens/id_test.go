package tokens

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestID(t *testing.T) {
	for _, tt := range []struct {
		text string
		id   ID
	}{
		{
			`SoftHSM\x20project/SoftHSM\x20v2/695df0403ee3ff4a/mytok/0B`,
			ID{"SoftHSM project", "SoftHSM v2", "695df0403ee3ff4a", "mytok", []byte{11}},
		},
		{ // as the stock daemon writes them
			`m/v/1/a\x21\x22\x23\x24\x25\x26\x28\x29\x2A\x2B\x2C\x2D\x2E\x3A\x3B\x3C=\x3E\x3F\x40/0AFF`,
			ID{"m", "v", "1", `a!"#$%&()*+,-.:;<=>?@`, []byte{10, 255}},
		},
		{
			`m/v/1/b\x5B\x5C\x5D^_\x60\x7B\x7C\x7D~\x27\x2F\xC3\xA9/0AFF`,
			ID{"m", "v", "1", "b[\\]^_`{|}~'/é", []byte{10, 255}},
		},
	} {
		if got := tt.id.String(); got != tt.text {
			t.Errorf("String: %s, want %s", got, tt.text)
		}
		got, err := ParseID(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
		}
		if diff := cmp.Diff(tt.id, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.text, diff)
		}
	}
	if got, err := ParseID("Acme/Model-2/1234/My.Token/01"); err != nil || got.Label != "My.Token" || got.Model != "Model-2" {
		t.Errorf("%v %v, want escapes to be optional", got, err)
	}
	for _, bad := range []string{"", "foo", "a/b/c/d", "a/b/c/d/", "a/b/c/d/0", "a/b/c/d/0g", "a/b/c/d/e/01", `a\/b/c/d/01`, `a\x4/b/c/d/01`, `a\y41/b/c/d/01`, `a\xzz/b/c/d/01`} {
		if _, err := ParseID(bad); !errors.Is(err, ErrID) {
			t.Errorf("%q: %v, want ErrID", bad, err)
		}
	}
}

func FuzzID(f *testing.F) {
	f.Add(`SoftHSM\x20project/SoftHSM\x20v2/695df0403ee3ff4a/mytok/0B`)
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseID(s)
		if err != nil {
			return
		}
		again, err := ParseID(id.String())
		if err != nil {
			t.Fatalf("%q as %q: %v", s, id, err)
		}
		if diff := cmp.Diff(id, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
