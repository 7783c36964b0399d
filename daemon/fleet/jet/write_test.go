//go:build !nofleet

package jet

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

func TestRevisionThatARefusalNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		code jetstream.ErrorCode
		text string
		want uint64
	}{
		{10071, "wrong last sequence: 8", 8},
		{10071, "wrong last sequence: 18446744073709551615", 1<<64 - 1},
		{10071, "wrong last sequence: 0", 0},
		{10071, "wrong last sequence", 0},
		{10071, "wrong last sequence: -1", 0},
		{10071, "wrong last sequence: 8 9", 0},
		{10164, "wrong last sequence", 0}, // another write is under way
		{10077, "maximum bytes exceeded: 8", 0},
		{0, "", 0},
	} {
		if got := names(&jetstream.APIError{ErrorCode: tt.code, Description: tt.text}); got != tt.want {
			t.Errorf("%d %q: %d, want %d", tt.code, tt.text, got, tt.want)
		}
	}
}
