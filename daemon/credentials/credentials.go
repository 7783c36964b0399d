// Package credentials holds the life of a client's secrets: which event brings one, which one takes it away, and what the
// next login carries. It does no I/O, reads no clock and is not safe for concurrent use: the engine that owns a Set tells
// it what happened.
//
//	               user name   password   token   its user   passphrase   proxy's
//	restart            keep       keep     keep       keep         keep      keep    SIGUSR1, SIGHUP, renegotiation
//	login sent, nc     keep *     drop     keep       keep            -         -
//	key opened, nc        -          -        -          -         drop         -
//	RESTART            keep *     drop     keep       keep         keep      keep    not with the flag P
//	token refused      keep       keep     drop       drop         keep      keep    AUTH_FAILED for a token
//	password refused   drop       drop     drop       drop         keep      keep    AUTH_FAILED, auth-retry interact
//	key refused           -          -        -          -         drop         -
//	proxy refused         -          -        -          -            -      drop
//	forget             drop       drop     drop       drop         drop      keep    forget-passwords, management-forget-disconnect
//
// "nc" is auth-nocache. A user name marked * stays only to go with a token: without one the next login asks for both. The
// credentials of a proxy are not kept at all with auth-nocache.
//
// Rule: docs/decisions/0038-life-of-credentials.md; the stock daemon is asked in test/interop_credentials_test.go.
package credentials

import "log/slog"

// Set is the secrets of one process. The zero Set knows none. Nothing of it is ever logged.
type Set struct {
	login      pair
	token      string
	tokenUser  string // replaces the login's user name beside a token; empty without
	passphrase secret // of the private key
	proxy      pair
}

// pair is a user name and a password. A user name may outlive its password.
type pair struct {
	user, pass string
	complete   bool
}

type secret struct {
	text  string
	known bool
}

// LogValue keeps secrets out of logs.
func (s *Set) LogValue() slog.Value { return slog.StringValue("[secrets]") }

// Answered keeps the user name and password that auth-user-pass asked for. A token from before the question is dropped: it
// had no user name to go with, and belongs to another login.
func (s *Set) Answered(user, pass string) {
	s.dropLogin()
	s.login = pair{user, pass, true}
}

// Login returns what the next key message carries: the token if it has a user name to go with, else the login. asked says
// that auth-user-pass is set: without it only a token with a user name of its own is sent. It returns false when the login
// has to be asked for.
func (s *Set) Login(asked bool) (user, pass string, ok bool) {
	switch {
	case s.tokenInUse(asked) && s.tokenUser != "":
		return s.tokenUser, s.token, true
	case s.tokenInUse(asked):
		return s.login.user, s.token, true
	case !asked:
		return "", "", true
	}
	return s.login.user, s.login.pass, s.login.complete
}

func (s *Set) tokenInUse(asked bool) bool {
	return s.token != "" && (s.tokenUser != "" || asked && s.login.user != "")
}

// Sent is told that a key message with the login has been handed over.
func (s *Set) Sent(nocache bool) {
	if nocache {
		s.dropPassword()
	}
}

// dropPassword keeps the user name: the token that goes with it may be still to come.
func (s *Set) dropPassword() { s.login.pass, s.login.complete = "", false }

// Pushed keeps a token from the server, and the user name to send with it. An empty string changes nothing.
func (s *Set) Pushed(token, tokenUser string) {
	if token != "" {
		s.token = token
	}
	if tokenUser != "" {
		s.tokenUser = tokenUser
	}
}

// Refused is told of AUTH_FAILED. It returns true when a token was in use: only that is dropped, and the login comes next.
// Otherwise interact (auth-retry) drops the login, so that it is asked for again.
func (s *Set) Refused(asked, interact bool) (token bool) {
	if s.tokenInUse(asked) {
		s.token, s.tokenUser = "", ""
		return true
	}
	if interact {
		s.dropLogin()
	}
	return false
}

func (s *Set) dropLogin() { s.login, s.token, s.tokenUser = pair{}, "", "" }

// Reset is told of a RESTART message without the flag P.
func (s *Set) Reset() { s.dropPassword() }

// OpenedWith keeps the passphrase of the private key.
func (s *Set) OpenedWith(passphrase string) { s.passphrase = secret{passphrase, true} }

// Passphrase returns the passphrase of the private key, false when it has to be asked for.
func (s *Set) Passphrase() (string, bool) { return s.passphrase.text, s.passphrase.known }

// KeyLoaded is told that the private key has been read.
func (s *Set) KeyLoaded(nocache bool) {
	if nocache {
		s.KeyRefused()
	}
}

// KeyRefused is told that the passphrase did not open the private key.
func (s *Set) KeyRefused() { s.passphrase = secret{} }

// ProxyAnswered keeps what the HTTP proxy asked for.
func (s *Set) ProxyAnswered(user, pass string, nocache bool) {
	if !nocache {
		s.proxy = pair{user, pass, true}
	}
}

// Proxy returns what is known for the HTTP proxy.
func (s *Set) Proxy() (user, pass string, ok bool) {
	return s.proxy.user, s.proxy.pass, s.proxy.complete
}

// ProxyRefused is told that the HTTP proxy did not take its credentials.
func (s *Set) ProxyRefused() { s.proxy = pair{} }

// Forget drops what forget-passwords and management-forget-disconnect drop.
func (s *Set) Forget() {
	s.dropLogin()
	s.passphrase = secret{}
}
