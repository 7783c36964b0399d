package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/config"
)

// What scripts hear of a server's local lines and of a client's remotes, in the order of setting. The lists are those of 2.6.14
// and 2.7.8, but that 2.6 takes one local line without port and protocol, and that 2.7.8 calls a listener on udp6 udp.
func TestEnvironmentOfListeners(t *testing.T) {
	const server = "server 10.8.0.0 255.255.255.0\ndh none\nkeepalive 10 60\ncert c\nkey k\n"
	const client = "client\ncert c\nkey k\n"
	for _, tt := range []struct{ name, config, old, new string }{
		{
			"one", server + "local 10.99.0.1\nport 1200",
			"proto_1=udp local_1=10.99.0.1 local_port_1=1200 remote_port_1=1200",
			"remote_port_1=1200 proto_1=udp local_1=10.99.0.1 local_port_1=1200",
		},
		{
			"several", server + "local 10.99.0.1 1194 udp\nlocal 10.99.0.1 1195 tcp-server\nlocal * 1196 udp6",
			"proto_1=udp local_1=10.99.0.1 local_port_1=1194 remote_port_1=1194 proto_2=tcp-server local_2=10.99.0.1 local_port_2=1195 proto_3=udp6 local_port_3=1196",
			"remote_port_1=1194 proto_1=udp local_1=10.99.0.1 local_port_1=1194 proto_2=tcp-server local_2=10.99.0.1 local_port_2=1195 proto_3=udp6 local_port_3=1196",
		},
		{
			"client", client + "nobind\nremote 10.99.0.1 1195\nremote 10.99.0.3 1196 tcp-client",
			"proto_1=udp remote_1=10.99.0.1 remote_port_1=1195 proto_2=tcp-client remote_2=10.99.0.3 remote_port_2=1196",
			"remote_1=10.99.0.1 remote_port_1=1195 remote_2=10.99.0.3 remote_port_2=1196 proto_1=udp local_port_1=1194",
		},
	} {
		for face, want := range map[string]string{"2.6": tt.old, "2.7": tt.new} {
			path := filepath.Join(t.TempDir(), "c.conf")
			if err := os.WriteFile(path, []byte("dev tun\nca a\n"+tt.config), 0o600); err != nil {
				t.Fatal(err)
			}
			o, err := config.Parse([]string{"--compat", face, "--config", path}, config.Env{SkipFiles: true})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range newProcess(nil, o, Env{}).environment(o).Reversed().List() {
				for _, name := range []string{"proto_", "local_", "remote_"} {
					if strings.HasPrefix(v, name) {
						got = append(got, v)
					}
				}
			}
			if text := strings.Join(got, " "); text != want {
				t.Errorf("%s, face of %s:\n got %s\nwant %s", tt.name, face, text, want)
			}
		}
	}
}
