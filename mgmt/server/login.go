package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/wire"
)

// maxAttempts is how many wrong passwords end a connection.
const maxAttempts = 3

// attempts slows down guessing on one listener, over all its connections: each wrong password makes the next answer wait
// longer, and the wait shrinks again by the minute.
type attempts struct {
	mu    sync.Mutex // guards all below
	count int
	last  time.Time
}

const (
	maxWrongDelay = 2 * time.Second
	forgiveEvery  = 10 * time.Second // one wrong password is forgotten
)

// add counts a wrong password and returns how long its answer waits.
func (a *attempts) add(now time.Time, step time.Duration) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.last.IsZero() {
		a.count = max(0, a.count-int(now.Sub(a.last)/forgiveEvery))
	}
	a.last = now
	a.count = min(a.count+1, 1<<16)
	return min(time.Duration(a.count)*step, maxWrongDelay)
}

// inputLine is a line a client sent.
type inputLine struct {
	text string
	long bool
}

// login plays the password dialogue. It returns the lines that came behind the right password.
//
// Visible are stock's rules: the question is asked once for each batch read, without a line end; a wrong password gets no
// other answer; the third one ends the connection.
func (st *seat) login(ctx context.Context, a Access, wrong *attempts) (rest []inputLine, err error) {
	if len(a.Passwords) == 0 {
		setDefault(&a.Role, mgmt.RoleAdmin)
		st.role = a.Role
		return nil, nil
	}
	buf := make([]byte, 4096)
	st.out.push(reply, []byte(wire.PasswordQuestion))
	for tries, in := 0, false; ; {
		n, err := st.conn.Read(buf)
		var delay time.Duration
		st.in.Feed(buf[:n], func(text string, long bool) bool {
			if in {
				rest = append(rest, inputLine{text, long})
				return true
			}
			role, ok := match(a.Passwords, text)
			if in = ok && !long; in {
				st.role = role
				return true
			}
			tries++
			delay = wrong.add(time.Now(), st.s.cfg.Limits.WrongDelay)
			return tries < maxAttempts
		})
		if delay > 0 {
			select {
			case <-time.After(delay):
			case <-st.gone:
				return nil, ErrRefused
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		switch {
		case in:
			st.reply(wire.PasswordCorrect)
			return rest, nil
		case tries >= maxAttempts:
			st.s.logf(1, mgmt.FlagWarning, fmt.Sprintf("MANAGEMENT: %s gave %d wrong passwords", st.name, tries))
			return nil, ErrRefused
		case err != nil:
			return nil, errors.Join(ErrRefused, err)
		case delay > 0:
			st.out.push(reply, []byte(wire.PasswordQuestion))
		}
	}
}

// match compares with all passwords in constant time, their lengths included.
func match(passwords []Password, text string) (role mgmt.Role, ok bool) {
	got := sha256.Sum256([]byte(text))
	for _, p := range passwords {
		want := sha256.Sum256([]byte(p.Text))
		if subtle.ConstantTimeCompare(got[:], want[:]) == 1 && !ok {
			role, ok = p.Role, true
		}
	}
	setDefault(&role, mgmt.RoleAdmin)
	return role, ok
}
