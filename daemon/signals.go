package daemon

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/moongate-vpn/moongate/daemon/engine"
)

// catchSignals turns the signals of the process into pending ones until ctx ends. hangUp is called for each SIGHUP.
func catchSignals(ctx context.Context, wg *sync.WaitGroup, pending *engine.Signals, hangUp func()) {
	ch := make(chan os.Signal, 8)
	signal.Notify(ch, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM, syscall.SIGINT)
	signal.Ignore(syscall.SIGPIPE)
	wg.Go(func() {
		defer signal.Stop(ch)
		for {
			select {
			case s := <-ch:
				if s == syscall.SIGHUP {
					wg.Go(hangUp)
					continue
				}
				pending.Raise(engine.Stop{Signal: fromOS(s)})
			case <-ctx.Done():
				return
			}
		}
	})
}

// fromOS is a signal of the process but SIGHUP.
func fromOS(s os.Signal) engine.Signal {
	switch s {
	case syscall.SIGUSR1:
		return engine.USR1
	case syscall.SIGUSR2:
		return engine.USR2
	case syscall.SIGINT:
		return engine.INT
	default:
		return engine.TERM
	}
}

// remap is the signal that an option names.
func remap(word string) engine.Signal {
	s, _ := engine.ParseSignal(word)
	return s
}
