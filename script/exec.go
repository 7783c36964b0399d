package script

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"github.com/moongate-vpn/moongate/mgmt/secret"
	"github.com/moongate-vpn/moongate/script/lib"
)

// Bounds of programs, requests and secrets.
const (
	maxOutput   = 1 << 20 // bytes of each stream of a program, and of a response
	maxAtOnce   = 8       // programs and requests of a script at a time, and secrets; others wait
	maxRef      = 4 << 10 // bytes of a reference to a secret
	defaultWait = 10 * time.Second
)

func nearest(word string, known []string) string { return lib.DidYouMean(word, known) }

// timeout reads the field timeout of t, which must fit into what is left to the handler.
func (r *runtime) timeout(L *lua.LState, t *lua.LTable) time.Duration {
	d := defaultWait
	if v := t.RawGetString("timeout"); v != lua.LNil {
		n, ok := v.(lua.LNumber)
		if !ok || n <= 0 || n > 86400 {
			L.ArgError(1, "timeout must be seconds above 0")
		}
		d = time.Duration(float64(n) * float64(time.Second))
		r.inTime(L, 1, d)
	}
	return d
}

// act runs work in a goroutine, at most maxAtOnce at a time, within d. size is as for await.
func (r *runtime) act(L *lua.LState, d time.Duration, size int, work func(ctx context.Context) func() []lua.LValue) int {
	return r.await(L, false, size, func(ctx context.Context) func() []lua.LValue {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		select {
		case r.acting <- struct{}{}:
			defer func() { <-r.acting }()
		case <-ctx.Done():
			return func() []lua.LValue { return values(nil, errors.New("too much is under way: no turn within the time")) }
		}
		return work(ctx)
	})
}

// exec is exec{"prog", "arg", …, stdin =, timeout =, env =}: {code =, stdout =, stderr =}, or nil and why it did not run.
func (r *runtime) exec(L *lua.LState) int {
	need(L, r.o.Allow.Exec, "exec", "exec")
	t := table(L, "stdin", "timeout", "env")
	words := stringList(L, t)
	if len(words) == 0 {
		L.ArgError(1, "no program")
	}
	for _, w := range words {
		if r.secrets.clean(w) != w {
			L.ArgError(1, "a secret in an argument is seen by every user of the machine: use stdin or env")
		}
	}
	stdin := lua.LVAsString(t.RawGetString("stdin"))
	env := []string{"PATH=" + os.Getenv("PATH")}
	if vars, ok := t.RawGetString("env").(*lua.LTable); ok {
		for name, value := range pairs(L, vars, maxWords) {
			env = append(env, name+"="+value)
		}
	}
	d := r.timeout(L, t)
	if r.tell("exec %q", words) {
		L.Push(r.execResult(0, "", ""))
		return 1
	}
	return r.act(L, d, len(stdin), func(ctx context.Context) func() []lua.LValue {
		cmd := exec.CommandContext(ctx, words[0], words[1:]...)
		secret.Group(cmd)
		cmd.WaitDelay = 100 * time.Millisecond
		cmd.Env, cmd.Dir, cmd.Stdin = env, r.dir, strings.NewReader(stdin)
		var stdout, stderr limited
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		switch {
		case ctx.Err() != nil:
			err = fmt.Errorf("%s: it took longer than %v", words[0], d)
		case errors.As(err, &exit), errors.Is(err, exec.ErrWaitDelay): // it ended; what it left behind still has its output
			err = nil
		case err != nil:
			err = fmt.Errorf("%s: %w", words[0], err)
		}
		return func() []lua.LValue {
			if err != nil {
				return values(nil, err)
			}
			return values(r.execResult(cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()), nil)
		}
	})
}

// pairs are the entries of a table as texts, of at most so many bytes together.
func pairs(L *lua.LState, t *lua.LTable, limit int) map[string]string {
	all, total := make(map[string]string), 0
	for k, v := t.Next(lua.LNil); k != lua.LNil; k, v = t.Next(k) {
		name, value := k.String(), v.String()
		if total += len(name) + len(value) + 2; total > limit {
			L.RaiseError("too long: at most %d bytes together", limit)
		}
		all[name] = value
	}
	return all
}

func (r *runtime) execResult(code int, stdout, stderr string) *lua.LTable {
	t := r.L.NewTable()
	t.RawSetString("code", lua.LNumber(code))
	t.RawSetString("stdout", lua.LString(stdout))
	t.RawSetString("stderr", lua.LString(stderr))
	return t
}

// limited keeps the first maxOutput bytes.
type limited struct{ b bytes.Buffer }

// Write implements io.Writer.
func (l *limited) Write(b []byte) (int, error) {
	if room := maxOutput - l.b.Len(); room > 0 {
		l.b.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

func (l *limited) String() string { return l.b.String() }

// env is env(name): the variable, or nil.
func (r *runtime) env(L *lua.LState) int {
	need(L, r.o.Allow.Env, "env", "env")
	v, ok := os.LookupEnv(L.CheckString(1))
	if !ok {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(lua.LString(v))
	return 1
}

// secretOf is secret(ref): the secret as text, or nil and why not.
func (r *runtime) secretOf(L *lua.LState) int {
	ref := L.CheckString(1)
	if len(ref) > maxRef {
		L.ArgError(1, fmt.Sprintf("a reference of at most %d bytes", maxRef))
	}
	if err := secret.Check(ref); err != nil {
		L.ArgError(1, err.Error())
	}
	permission, allowed := "secret", r.o.Allow.Secret
	switch secret.Scheme(ref) {
	case "env":
		permission, allowed = "env", allowed || r.o.Allow.Env
	case "cmd":
		permission, allowed = "exec", r.o.Allow.Exec // whatever program the script names
	case "pass":
		permission, allowed = "exec", allowed || r.o.Allow.Exec
	}
	need(L, allowed, "secret "+ref, permission)
	return r.await(L, false, 0, func(ctx context.Context) func() []lua.LValue {
		select {
		case r.fetching <- struct{}{}:
			defer func() { <-r.fetching }()
		case <-ctx.Done():
			return func() []lua.LValue {
				return values(nil, fmt.Errorf("secret %s: eight others are being fetched, and none ended in time", ref))
			}
		}
		text, err := secret.Resolve(ctx, ref, secret.Options{StateDir: r.o.SecretState})
		r.secrets.add(text)
		return func() []lua.LValue { return values(lua.LString(text), err) }
	})
}
