package session

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/keys"
)

// probe is an end of a data channel that tests its path.
type probe struct {
	ch    *data.Channel
	test  MTUTest
	lines []string
}

func newProbe(t *testing.T, p data.Params, role keys.Role, block *keys.Block) *probe {
	t.Helper()
	p.Role = role
	ch, err := data.New(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := ch.SetKey(0, block, time.Time{}); err != nil {
		t.Fatal(err)
	}
	return &probe{ch: ch}
}

func (p *probe) say(lines ...string) {
	p.lines = append(p.lines, slices.DeleteFunc(lines, func(s string) bool { return s == "" })...)
}

// hear takes packets that fit the path and returns the answers.
func (p *probe) hear(t *testing.T, pkts [][]byte, most int, now time.Time) (answers [][]byte) {
	t.Helper()
	for _, pkt := range pkts {
		if len(pkt) > most {
			continue
		}
		msg, kind, err := p.ch.Open(bytes.Clone(pkt), now)
		if err != nil || kind != data.OCC && kind != data.None {
			t.Fatalf("a packet of %d bytes: %v %v", len(pkt), kind, err)
		}
		if kind == data.None {
			continue
		}
		p.say(p.test.Answer(p.ch, msg)...)
		answers = append(answers, p.ch.SealAnswer(msg, "V4", now)...)
	}
	return answers
}

func TestMTUTest(t *testing.T) {
	gcm := data.Params{Cipher: "AES-256-GCM", V2: true, ReplayWindow: 64}
	epoch, fragments := gcm, gcm
	epoch.Epoch, fragments.Fragment = true, 1172
	const begin = "NOTE: Beginning empirical MTU test -- results should be available in 3 to 4 minutes."
	for _, tt := range []struct {
		name        string
		params      data.Params
		out, in     int // the largest packets that the path carries
		want        []string
		minutes     int
		unreachable bool
	}{
		{"wide", gcm, 9000, 9000, []string{begin, "NOTE: Empirical MTU test completed [Tried,Actual] local->remote=[1524,1524] remote->local=[1524,1524]"}, 3, false},
		{"epoch keys", epoch, 9000, 9000, []string{begin, "NOTE: Empirical MTU test completed [Tried,Actual] local->remote=[1528,1528] remote->local=[1528,1528]"}, 3, false},
		{"fragments", fragments, 9000, 9000, []string{begin, "NOTE: Empirical MTU test completed [Tried,Actual] local->remote=[780,780] remote->local=[780,780]"}, 3, false},
		{"narrow out", gcm, 1400, 9000, []string{
			begin, "NOTE: Empirical MTU test completed [Tried,Actual] local->remote=[1524,43] remote->local=[1524,1524]",
			"NOTE: This connection is unable to accommodate a UDP packet size of 1524. Consider using --fragment or --mssfix options as a workaround.",
		}, 3, false},
		{"silent", gcm, 0, 0, []string{begin, "NOTE: failed to empirically measure MTU (requires OpenVPN 1.5 or higher at other end of connection)."}, 4, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			block := new(keys.Block)
			for i := range block {
				block[i] = byte(i)
			}
			client, server := newProbe(t, tt.params, keys.Client, block), newProbe(t, tt.params, keys.Server, block)
			now := time.Unix(1_800_000_000, 0)
			start := now
			client.test.Start(1500, now)
			for !client.test.Due().IsZero() && now.Sub(start) < time.Hour {
				now = client.test.Due()
				pkts, line := client.test.Step(client.ch, now)
				client.say(line)
				client.hear(t, server.hear(t, pkts, tt.out, now), tt.in, now)
			}
			if diff := cmp.Diff(tt.want, client.lines); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			if took := now.Sub(start).Truncate(time.Minute); took != time.Duration(tt.minutes)*time.Minute && !tt.unreachable {
				t.Errorf("took %v", took)
			}
			if pkts, line := client.test.Step(client.ch, now.Add(time.Hour)); pkts != nil || line != "" {
				t.Error("goes on behind its end")
			}
		})
	}
}
