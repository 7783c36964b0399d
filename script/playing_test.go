package script_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/moongate-vpn/moongate/script"
)

// What a test needs of a daemon is said by fields, not in lines of the port.
func TestEventsAndClientsOfTests(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"s.lua": `
			moongate.on("password.need", function(ev) print(ev.type, ev.wants_username, ev.challenge, ev.challenge_echo, ev.challenge_concat) end)
			moongate.on("password.failed", function(ev) print(ev.type, ev.reason, ev.crv1 and ev.crv1.text) end)
			moongate.on("needok", function(ev) print(ev.event, ev.type, ev.message) end)
			moongate.on("needstr", function(ev) print(ev.event, ev.type, ev.message) end)
			moongate.on("remote", function(ev) print(ev.host, ev.port, ev.proto) end)
			moongate.on("hold", function() for _, c in ipairs(assert(clients())) do print(c.cid, c.common_name, c.real_address, c.bytes_received) end end)`,
		"s_test.lua": `
			test("events", function()
				load("s.lua")
				emit("password.need")
				emit("password.need", { type = "Private Key", wants_username = false })
				emit("password.need", { challenge = "PIN?", challenge_echo = true })
				emit("password.need", { challenge = "PIN?", challenge_concat = true })
				emit("password.failed", { reason = "CRV1:R,E:state:am9l:Code?" })
				emit("password.failed")
				emit("needok", { type = "token", message = "Insert it" })
				emit("needstr", { type = "name", message = "Who?" })
				emit("remote", { host = "vpn.example" })
				expect(printed(), {
					"Auth\ttrue\tnil\tfalse\tfalse", "Private Key\tfalse\tnil\tfalse\tfalse", "Auth\ttrue\tPIN?\ttrue\tfalse", "Auth\ttrue\tPIN?\tfalse\ttrue",
					"Auth\tCRV1:R,E:state:am9l:Code?\tCode?", "Auth\tnil\tnil", "needok\ttoken\tInsert it", "needstr\tname\tWho?", "vpn.example\t1194\tudp",
				})
			end)
			test("clients", function()
				load("s.lua")
				emit("hold")
				expect(printed(), {})
				fake{ clients = { { cid = 1, common_name = "joe", real_address = "192.0.2.7:1" }, { cid = 2, common_name = "ann", bytes_received = 9 } } }
				emit("hold")
				expect(printed(), { "1\tjoe\t192.0.2.7:1\t0", "2\tann\t\t9" })
				local ok, err = pcall(fake, { clients = { { id = 1 } } })
				expect(ok, false)
				expect(err:match("a client has no field id"), "a client has no field id")
			end)`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	results, err := script.Test(t.Context(), filepath.Join(dir, "s_test.lua"), nil)
	if err != nil || len(results) != 2 {
		t.Fatal(results, err)
	}
	for _, r := range results {
		if r.Failure != "" {
			t.Errorf("%s: %s", r.Name, r.Failure)
		}
	}
}
