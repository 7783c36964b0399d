package secret

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

// tooLate is how near the end of its step a code is not worth sending any more.
const tooLate = 2 * time.Second

// code returns the one-time code of a key (base32, or an otpauth:// address with its own digits, period and algorithm) for a
// step that was not used before, and waits for that step.
func code(ctx context.Context, key string, o Options) (string, error) {
	opts := totp.ValidateOpts{Period: 30, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1}
	if strings.HasPrefix(key, "otpauth:") {
		k, err := otp.NewKeyFromURL(key)
		if err != nil || k.Type() != "totp" || k.Period() < 1 {
			return "", errors.New("what is kept there is not an otpauth://totp/ address")
		}
		key, opts.Period, opts.Digits, opts.Algorithm = k.Secret(), uint(k.Period()), k.Digits(), k.Algorithm()
	}
	key = strings.ToUpper(strings.NewReplacer(" ", "", "-", "", "=", "").Replace(key))
	if _, err := totp.GenerateCodeCustom(key, time.Unix(0, 0), opts); err != nil || key == "" {
		return "", errors.New("what is kept there is not a base32 key")
	}
	period := time.Duration(opts.Period) * time.Second
	step, err := reserve(ctx, key, period, o)
	if err != nil {
		return "", err
	}
	at := time.Unix(0, 0).Add(time.Duration(step) * period)
	if wait := time.Until(at); wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			if wait = time.Until(at).Round(time.Second); ctx.Err() == context.DeadlineExceeded {
				return "", late(fmt.Sprintf("the next unused code begins in %v, when the time for it is over", wait))
			}
			return "", ctx.Err()
		}
	}
	return totp.GenerateCodeCustom(key, at, opts)
}

// maxAhead is how many steps may be reserved before their time: more have no use within a user's patience, and tell of a
// clock that was set back.
const maxAhead = 10

// reserve notes and returns the first step of key that can still be used and was not used before.
func reserve(ctx context.Context, key string, period time.Duration, o Options) (int64, error) {
	dir := o.StateDir
	if dir == "" {
		var err error
		if dir, err = StateDir(); err != nil {
			return 0, err
		}
	}
	dir = filepath.Join(dir, "totp")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("note the code as used: %w", err)
	}
	sum := sha256.Sum256([]byte("moongate totp\x00" + key))
	f, err := os.OpenFile(filepath.Join(dir, hex.EncodeToString(sum[:16])), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 0, fmt.Errorf("note the code as used: %w", err)
	}
	defer f.Close() // and with it the lock
	if err := lock(ctx, f, o.Timeout); err != nil {
		return 0, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	var text [20]byte
	n, _ := f.ReadAt(text[:], 0)
	last, _ := strconv.ParseInt(strings.TrimSpace(string(text[:n])), 10, 64)
	step := time.Now().Add(tooLate).Unix() / int64(period/time.Second)
	if last >= step+maxAhead {
		return 0, fmt.Errorf("codes of the next %v were given out already; if the clock was set back, remove %s",
			(time.Duration(last-step) * period).Round(time.Second), f.Name())
	}
	step = max(step, last+1)
	if _, err := f.WriteAt([]byte(fmt.Sprintf("%-19d\n", step)), 0); err != nil {
		return 0, fmt.Errorf("note the code as used: %w", err)
	}
	if err := f.Sync(); err != nil {
		return 0, fmt.Errorf("note the code as used: %w", err)
	}
	return step, nil
}
