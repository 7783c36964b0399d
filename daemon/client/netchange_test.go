package client

import (
	"context"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// Another network ends a pause, and neither a hold nor a question, which do not depend on it: what somebody has typed so
// far is not lost.
func TestNetworkChangeBetweenConnections(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		hold, ask bool
		ends      bool
	}{
		"pause":    {ends: true},
		"hold":     {hold: true},
		"question": {ask: true},
	} {
		t.Run(name, func(t *testing.T) {
			o := &config.Options{}
			o.Connections = []config.Connection{{Remote: "192.0.2.1", ConnectRetry: time.Hour, ConnectRetryMax: time.Hour}}
			o.ManagementQueryPasswords, o.AuthUserPass.Enabled = true, true
			p := server.New(server.Config{Hold: tt.hold})
			defer p.Close()
			c := New(Deps{Options: o, Log: logging.Discard(), Port: p, Signals: engine.NewSignals(), Secrets: &Secrets{}, Totals: new(engine.Totals)})
			c.pauses.attempts = 1
			c.secrets.SetRetry(mgmt.AuthRetryInteract)
			ctx, cancel := context.WithCancel(t.Context())
			over := make(chan engine.Stop, 1)
			go func() {
				if tt.ask {
					over <- c.connect(ctx)
					return
				}
				stop, _ := c.beforeAttempt(ctx, false)
				over <- stop
			}()
			defer func() { cancel() }()
			time.Sleep(50 * time.Millisecond) // it waits now
			c.NetworkChange(false)
			select {
			case stop := <-over:
				if !tt.ends || stop.Reason != mgmt.ReasonNetworkChange {
					t.Errorf("it ended: %+v", stop)
				}
				return
			case <-time.After(300 * time.Millisecond):
				if tt.ends {
					t.Error("it goes on")
				}
			}
			cancel()
			<-over
		})
	}
}
