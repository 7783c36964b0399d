package lib

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// OTP is the module otp: totp(secret, options) and hotp(secret, counter, options), RFC 6238 and 4226.
func OTP(L *lua.LState) *lua.LTable {
	return L.SetFuncs(L.NewTable(), map[string]lua.LGFunction{
		"totp": func(L *lua.LState) int {
			o := Options(L, 2, "digits", "period", "algorithm", "time")
			period := o.Number("period", 30)
			now := o.Number("time", float64(time.Now().Unix()))
			if period < 1 {
				L.ArgError(2, "period must be at least 1")
			}
			return pushOTP(L, uint64(now/period), o)
		},
		"hotp": func(L *lua.LState) int {
			return pushOTP(L, uint64(L.CheckNumber(2)), Options(L, 3, "digits", "algorithm"))
		},
	})
}

func pushOTP(L *lua.LState, counter uint64, o OptionTable) int {
	code, err := Code(L.CheckString(1), counter, int(o.Number("digits", 6)), o.String("algorithm", "sha1"))
	if err != nil {
		return fail(L, err)
	}
	L.Push(lua.LString(code))
	return 1
}

const maxOTPSecret = 1024

// Code computes a one-time code of digits digits. secret is base32, blanks and padding do not matter.
func Code(secret string, counter uint64, digits int, algorithm string) (string, error) {
	if len(secret) > maxOTPSecret {
		return "", fmt.Errorf("otp: the secret is longer than %d bytes", maxOTPSecret)
	}
	clean := strings.TrimRight(strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(secret)), "=")
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(clean)
	if err != nil || len(key) == 0 {
		return "", fmt.Errorf("otp: the secret is not base32")
	}
	if digits < 6 || digits > 9 {
		return "", fmt.Errorf("otp: %d digits, want 6 to 9", digits)
	}
	h, ok := map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}[strings.ToLower(algorithm)]
	if !ok {
		return "", fmt.Errorf("otp: algorithm %q, want sha1, sha256 or sha512", algorithm)
	}
	mac := hmac.New(h, key)
	binary.Write(mac, binary.BigEndian, counter)
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	n := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	mod := uint32(1)
	for range digits {
		mod *= 10
	}
	return fmt.Sprintf("%0*d", digits, n%mod), nil
}
