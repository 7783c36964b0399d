package demo

import "github.com/moongate-vpn/moongate/daemon/daemontest/pki"

// The two ends. The server asks its management port who may come in; the script admit.lua knows one user.
const serverConf = `# moongate demonstration: the server
dev tun
proto udp
local 10.98.0.1
port 1194
server 10.98.8.0 255.255.255.0
topology subnet
keepalive 10 60
ca ca.crt
cert server.crt
key server.key
dh none
tls-crypt tls-crypt.key
username-as-common-name
management server.sock unix
management-client-auth
script admit.lua
verb 3
`

const clientConf = `# moongate demonstration: the client
client
dev tun
proto udp
remote 10.98.0.1 1194
nobind
ca ca.crt
cert client.crt
key client.key
tls-crypt tls-crypt.key
remote-cert-tls server
auth-user-pass
auth-nocache
management client.sock unix
management-hold
management-query-passwords
verb 3
`

const answerLua = `-- moongate run answer.lua, on the client's management port
moongate.on("hold", function(ev)
  ev:release()
end)

moongate.on("password.need", function(ev)
  print("asked for " .. ev.type .. ", answered as luna")
  ev:answer{ username = "luna", password = "moonlight" }
end)
`

const admitLua = `-- script admit.lua, inside the server
moongate.on("client.connect", function(ev)
  if ev.username == "luna" and ev.password == "moonlight" then
    print("luna may come in")
    ev:admit()
  else
    ev:deny("wrong name or password")
  end
end)
`

// writeFleetFiles fills dir for a fleet.
func writeFleetFiles(dir string) error {
	if err := writeFiles(dir); err != nil {
		return err
	}
	files := map[string][]byte{"client.conf": []byte(fleetClientConf), "password": []byte("luna\nmoonlight\n")}
	for n, name := range nodes {
		files[name+".conf"] = []byte(nodeConf(n))
	}
	return pki.WriteFiles(dir, files)
}

// writeFiles fills dir with certificates, configurations and scripts.
func writeFiles(dir string) error {
	ca, err := pki.NewCA("moongate demonstration")
	if err != nil {
		return err
	}
	server, err := ca.Issue(pki.Spec{Name: "server", Server: true})
	if err != nil {
		return err
	}
	client, err := ca.Issue(pki.Spec{Name: "client"})
	if err != nil {
		return err
	}
	return pki.WriteFiles(dir, map[string][]byte{
		"ca.crt":        ca.PEM,
		"server.crt":    server.CertPEM,
		"server.key":    server.KeyPEM,
		"client.crt":    client.CertPEM,
		"client.key":    client.KeyPEM,
		"tls-crypt.key": pki.StaticKey(),
		"server.conf":   []byte(serverConf),
		"client.conf":   []byte(clientConf),
		"answer.lua":    []byte(answerLua),
		"admit.lua":     []byte(admitLua),
	})
}
