package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/netip"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/mgmttest"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// vpn is a server with one client, at an address for Dial.
func vpn() (daemon *server.Server, addr string) {
	ctl := mgmttest.NewController()
	ctl.SetMode(mgmttest.Server)
	ctl.SetPeers(mgmttest.Peer{
		CID: 4, KID: 1, CommonName: "laptop", Real: netip.MustParseAddrPort("192.0.2.7:50211"), Virtual: "10.8.0.2", Count: mgmt.ByteCount{In: 1200, Out: 800},
	})
	daemon = server.New(server.Config{Controller: ctl, Title: "OpenVPN 2.6.14"})
	daemon.State(mgmt.State{Name: mgmt.StateConnected, Detail: "SUCCESS", TunIPv4: netip.MustParseAddr("10.8.0.1"), Time: time.Unix(1795480816, 0)})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = daemon.Serve(context.Background(), ln, server.Access{}) }() // until Close
	return daemon, ln.Addr().String()
}

// attached is a client of one.
func attached(ctx context.Context) (daemon *server.Server, c *client.Client) {
	daemon, addr := vpn()
	c, err := client.Dial(ctx, addr, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	return daemon, c
}

func Example() {
	daemon, addr := vpn()
	defer daemon.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, addr, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	state, err := c.State(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(state.Name, state.TunIPv4)
	// Output: CONNECTED 10.8.0.1
}

func ExampleClient_Status() {
	ctx := context.Background()
	daemon, c := attached(ctx)
	defer daemon.Close()
	defer c.Close()

	status, err := c.Status(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, row := range status.Clients {
		fmt.Println(row.ClientID, row.CommonName, row.VirtualAddress, row.BytesReceived)
	}
	// Output: 4 laptop 10.8.0.2 1200
}

// A command without a method of its own, and the daemon's word about it.
func ExampleClient_Cmd() {
	ctx := context.Background()
	daemon, c := attached(ctx)
	defer daemon.Close()
	defer c.Close()

	reply, err := c.Cmd(ctx, "log-stats")
	var refused *client.ReplyError
	if errors.As(err, &refused) {
		fmt.Println("the daemon says:", refused.Text)
	}
	if reply, err = c.Cmd(ctx, "load-stats"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(reply.Text())
	// Output:
	// the daemon says: unknown command, enter 'help' for more options
	// nclients=1,bytesin=0,bytesout=0
}

// Words from elsewhere are quoted, so that none of them is read as two.
func ExampleClient_Do() {
	ctx := context.Background()
	daemon, c := attached(ctx)
	defer daemon.Close()
	defer c.Close()

	if _, err := c.Do(ctx, "kill", `no such "client"`); err != nil {
		fmt.Println(err)
	}
	text, err := c.Do(ctx, "kill", "laptop")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(text)
	// Output:
	// common name 'no such "client"' not found
	// common name 'laptop' found, 1 client(s) killed
}

// Notifications are asked for by a command, and read from a subscription that began before it.
func ExampleClient_Subscribe() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	daemon, c := attached(ctx)
	defer daemon.Close()
	defer c.Close()

	states := c.Subscribe(mgmt.KindState)
	defer states.Close()
	if _, err := c.Cmd(ctx, "state on"); err != nil {
		log.Fatal(err)
	}
	daemon.State(mgmt.State{Name: mgmt.StateExiting, Detail: "SIGTERM"})
	n, err := states.Next(ctx)
	if err != nil {
		log.Fatal(err)
	}
	state, err := mgmt.ParseState(n.Text)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(state.Name, state.Detail)
	// Output: EXITING SIGTERM
}

// Who may come in is decided by the client of the port (management-client-auth).
func ExampleClient_ClientDeny() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	daemon, c := attached(ctx)
	defer daemon.Close()
	defer c.Close()

	logins := c.Subscribe(mgmt.KindClient)
	defer logins.Close()
	daemon.ClientConnect(server.ClientEvent{CID: 4, KID: 1, Env: []string{"common_name=laptop"}})
	n, err := logins.Next(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n.Text, n.Env)
	if err := c.ClientDeny(ctx, 4, 1, "not on the list", "ask the help desk"); err != nil {
		log.Fatal(err)
	}
	// Output: CONNECT,4,1 [common_name=laptop]
}
