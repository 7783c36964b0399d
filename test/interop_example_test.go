//go:build linux

package test

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/moongate-vpn/moongate/script"
)

// The example that takes passwords from a secret store logs stock and us in twice, unattended, with two different codes: the server's script
// checks that no code comes twice.
func TestPasswordsFromStore(t *testing.T) {
	t.Parallel()
	for name, start := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			// The codes of a period of five seconds: the second login waits for its own.
			l.write(t, "otp", []byte("otpauth://totp/vpn?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&period=5\n"))
			l.write(t, "pass", []byte("good one\n"))
			verify := l.script(t, "once.sh", `{ read u; read p; } <"$1"
code=${p#good one}
[ "$u" = joe ] && [ "$p" = "good one$code" ] && [ ${#code} = 6 ] || exit 1
grep -q "^$code\$" `+l.file("codes")+` 2>/dev/null && exit 1
echo "$code" >> `+l.file("codes"))
			s := stock(t, l.server, l.serverArgs("--script-security", "2", "--auth-user-pass-verify", verify, "via-file"))
			s.WaitLine(t, up, upLimit)
			sock := l.file("client.sock")
			c := start(t, l.client, l.clientArgs("--auth-user-pass", "--auth-nocache", "--management", sock, "unix", "--management-query-passwords",
				"--management-hold"))
			m := manage(t, sock)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			allow, err := script.ParseAllow("secret")
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				done <- script.RunClient(ctx, m, "../examples/lua/passwords-from-store.lua", script.Options{
					Args: []string{"joe", "file:" + l.file("pass"), "totp:file:" + l.file("otp")}, Allow: allow, SecretState: l.dir,
				})
			}()
			c.WaitLine(t, up, upLimit)
			from := c.Lines()
			c.Signal(t, syscall.SIGUSR1)
			c.WaitLineAfter(t, from, up, upLimit)
			codes := strings.Fields(read(l.file("codes")))
			if slices.Sort(codes); len(slices.Compact(codes)) != 2 {
				t.Errorf("codes %q", codes)
			}
			cancel()
			<-done
			c.Stop(t)
			s.Stop(t)
		})
	}
}
