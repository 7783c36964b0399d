package client

import (
	"log/slog"
	"sync"
)

// Secrets are the passwords and tokens of a process. They outlive restarts and SIGHUP, until they are forgotten or
// refused. All methods are safe for concurrent use. Nothing of it is ever logged.
type Secrets struct {
	mu         sync.Mutex // guards everything
	passphrase string     // of the private key
	haveKey    bool
	user, pass string
	haveAuth   bool
	token      string
	tokenUser  string // replaces user beside a token, may be empty
	retry      string // auth-retry

	proxyUser, proxyPass string // of the HTTP proxy
	haveProxy            bool
}

// LogValue keeps secrets out of logs.
func (s *Secrets) LogValue() slog.Value { return slog.StringValue("[secrets]") }

// SetPassphrase keeps the private key's passphrase.
func (s *Secrets) SetPassphrase(p string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passphrase, s.haveKey = p, true
}

// Passphrase returns the private key's passphrase when it is known.
func (s *Secrets) Passphrase() (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.passphrase, s.haveKey
}

// ForgetPassphrase drops the private key's passphrase.
func (s *Secrets) ForgetPassphrase() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passphrase, s.haveKey = "", false
}

// SetAuth keeps a user name and a password.
func (s *Secrets) SetAuth(user, pass string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user, s.pass, s.haveAuth = user, pass, true
}

// ForgetAuth drops user name, password and token.
func (s *Secrets) ForgetAuth() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user, s.pass, s.haveAuth = "", "", false
	s.token, s.tokenUser = "", ""
}

// ForgetPassword drops user name and password but keeps a token (auth-nocache).
func (s *Secrets) ForgetPassword() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pass, s.haveAuth = "", false
	if s.token == "" {
		s.user = ""
	}
}

// SetToken keeps a token the server sent; it is sent instead of the password from now on.
func (s *Secrets) SetToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = token
}

// SetTokenUser keeps the user name the server wants beside its token.
func (s *Secrets) SetTokenUser(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokenUser = user
}

// DropToken drops the token and reports whether there was one.
func (s *Secrets) DropToken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	had := s.token != ""
	s.token, s.tokenUser = "", ""
	return had
}

// Credentials returns what the next key message carries: the token when there is one, else user name and password.
func (s *Secrets) Credentials() (user, pass string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token != "" {
		user = s.user
		if s.tokenUser != "" {
			user = s.tokenUser
		}
		return user, s.token, true
	}
	return s.user, s.pass, s.haveAuth
}

// SetProxy keeps the user name and the password that somebody gave for the HTTP proxy.
func (s *Secrets) SetProxy(user, pass string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proxyUser, s.proxyPass, s.haveProxy = user, pass, true
}

// Proxy returns what is known for the HTTP proxy.
func (s *Secrets) Proxy() (user, pass string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proxyUser, s.proxyPass, s.haveProxy
}

// ForgetProxy drops user name and password of the HTTP proxy.
func (s *Secrets) ForgetProxy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proxyUser, s.proxyPass, s.haveProxy = "", "", false
}

// Configure sets auth-retry from the configuration. An empty mode leaves what the management port set.
func (s *Secrets) Configure(retry string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if retry != "" {
		s.retry = retry
	}
}

// SetRetry sets auth-retry for the process.
func (s *Secrets) SetRetry(mode string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retry = mode
}

// Retry is what a refused login leads to: none, interact or nointeract.
func (s *Secrets) Retry() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retry == "" {
		return "none"
	}
	return s.retry
}

// Forget drops everything but auth-retry.
func (s *Secrets) Forget() {
	s.ForgetAuth()
	s.ForgetPassphrase()
	s.ForgetProxy()
}
