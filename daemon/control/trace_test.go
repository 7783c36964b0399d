package control_test

import (
	"fmt"
	"os"

	"github.com/moongate-vpn/moongate/daemon/wire"
)

func trace(p *pair, d *side, pkt []byte) {
	if os.Getenv("TRACE") == "" {
		return
	}
	op, k, _, rest, _ := wire.ParseControlHeader(pkt)
	var b wire.ControlBody
	err := b.Parse(rest, op)
	fmt.Printf("%8.3f %s sends %v k%d acks %v id %d len %d %v\n", p.now.Sub(started).Seconds(), d.name, op, k, b.Acks, b.MsgID, len(b.Payload), err)
}
