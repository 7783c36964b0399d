package client

import (
	"log/slog"
	"sync"

	"github.com/moongate-vpn/moongate/daemon/credentials"
)

// Secrets are the passwords and tokens of a process. They outlive restarts and SIGHUP, until an event of package
// credentials drops them. All methods are safe for concurrent use. Nothing of it is ever logged.
type Secrets struct {
	mu    sync.Mutex // guards everything
	set   credentials.Set
	retry string // auth-retry
}

// LogValue keeps secrets out of logs.
func (s *Secrets) LogValue() slog.Value { return s.set.LogValue() }

// on runs f on the set.
func (s *Secrets) on(f func(*credentials.Set)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.set)
}

// SetPassphrase keeps the private key's passphrase.
func (s *Secrets) SetPassphrase(p string) { s.on(func(c *credentials.Set) { c.OpenedWith(p) }) }

// Passphrase returns the private key's passphrase when it is known.
func (s *Secrets) Passphrase() (pass string, ok bool) {
	s.on(func(c *credentials.Set) { pass, ok = c.Passphrase() })
	return pass, ok
}

// login returns what the next key message carries, false when it has to be asked for: see credentials.Set.
func (s *Secrets) login(asked bool) (user, pass string, ok bool) {
	s.on(func(c *credentials.Set) { user, pass, ok = c.Login(asked) })
	return user, pass, ok
}

// refused handles AUTH_FAILED and returns true when a token was in use.
func (s *Secrets) refused(asked bool) (token bool) {
	interact := s.Retry() == "interact"
	s.on(func(c *credentials.Set) { token = c.Refused(asked, interact) })
	return token
}

// proxy returns what is known for the HTTP proxy.
func (s *Secrets) proxy() (user, pass string, ok bool) {
	s.on(func(c *credentials.Set) { user, pass, ok = c.Proxy() })
	return user, pass, ok
}

// Forget drops what forget-passwords drops.
func (s *Secrets) Forget() { s.on((*credentials.Set).Forget) }

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

// Retry says what follows a refused login: none, interact or nointeract.
func (s *Secrets) Retry() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retry == "" {
		return "none"
	}
	return s.retry
}
