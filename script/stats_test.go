package script_test

import (
	"testing"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/script"
)

// The status counts each call of a handler with its time: one that waits, one that fails, one that is ended.
func TestStatusTellsHowLongHandlersTake(t *testing.T) {
	var last mgmt.ScriptStatus
	d := &daemon{head: ">LOG:1,I,a\r\n>ECHO:1,b\r\n>INFOMSG:c\r\n>HOLD:Waiting for hold release:0\r\n"}
	_, _, err := run(t, d, `
		moongate.on("log", function() sleep(0.2) end)
		moongate.on("echo", function() error("bad luck") end)
		moongate.on("infomsg", function() wait_for("up", nil, 0.05) send("pid") while true do sleep(0.02) end end, {timeout = 0.06})
		moongate.on("hold", function() end)
		moongate.after(0.5, function() end)
		moongate.after(1, function() moongate.stop() end)`, script.Options{Status: func(s mgmt.ScriptStatus) { last = s }})
	if err != nil {
		t.Fatal(err)
	}
	calls := uint64(0)
	for _, n := range last.Took.Counts {
		calls += n
	}
	if calls != 4 || last.Errors != 2 || last.Took.Counts[2] != 1 || last.Took.Seconds < 0.2 {
		t.Errorf("status %v, took %+v", last, last.Took)
	}
}
