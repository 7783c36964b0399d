// Package arena measures tunnels side by side: moongate, the stock daemon and wireguard-go, each between two network
// namespaces of this machine, in turns within one run.
//
//	go test -run '^$' -bench Tunnel ./test/arena
//
// It needs root, iperf3 and ping; what is missing to run a contender is told and its lines are left out. The environment
// variable MOONGATE_ARENA_ROUNDS says how often each contender takes its turn (default 3); reported is the median. Both ends, and
// the programs that load them, share the machine's cores.
package arena
