//go:build pkcs11

package tokens

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// Supported tells whether this build can load modules.
const Supported = true

// Store is the tokens behind the modules of a configuration. It is safe for concurrent use; no lock is held while a PIN
// is asked for.
type Store struct {
	cfg     Config
	modules []*module

	mu     sync.Mutex // guards logins
	logins map[string]login

	use sync.RWMutex // held for reading while modules are used, for writing while they start again
}

// login is a token that got its PIN. Its session stays open: a token forgets when the last one is closed.
type login struct {
	since   time.Time
	session pkcs11.SessionHandle
}

type module struct {
	*pkcs11.Ctx
	protected, certPrivate bool
}

// Open loads the modules. One that does not load is logged and left out.
func Open(cfg Config) (*Store, error) {
	s := &Store{cfg: cfg, logins: make(map[string]login)}
	at := func(list []bool, i int) bool { return i < len(list) && list[i] }
	for i, path := range cfg.Providers {
		cfg.Log(logging.Info, "PKCS#11: Adding PKCS#11 provider '%s'", path)
		ctx := pkcs11.New(path)
		if ctx == nil {
			cfg.Log(logging.Warn, "PKCS#11: Cannot initialize provider '%s' 6-'CKR_FUNCTION_FAILED'", path)
			continue
		}
		if err := ctx.Initialize(); err != nil && !isError(err, pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED) {
			cfg.Log(logging.Warn, "PKCS#11: Cannot initialize provider '%s' %v", path, err)
			ctx.Destroy()
			continue
		}
		s.modules = append(s.modules, &module{ctx, at(cfg.Protected, i), at(cfg.CertPrivate, i)})
	}
	return s, nil
}

// Close ends the modules; keys are of no use afterwards.
func (s *Store) Close() {
	for _, m := range s.modules {
		_ = m.Finalize() // nothing can be done about it
		m.Destroy()
	}
	s.modules = nil
}

func isError(err error, code pkcs11.Error) bool {
	var e pkcs11.Error
	return errors.As(err, &e) && e == code
}

// slot is a token in its slot, with a session.
type slot struct {
	*module
	id      uint
	info    pkcs11.TokenInfo
	session pkcs11.SessionHandle
}

func (sl *slot) close() { _ = sl.CloseSession(sl.session) }

// each opens every token and calls f until it returns false.
func (s *Store) each(f func(sl *slot) bool) {
	s.use.RLock()
	defer s.use.RUnlock()
	for _, m := range s.modules {
		ids, err := m.GetSlotList(true)
		if err != nil {
			continue // as if nothing was inserted
		}
		for _, id := range ids {
			info, err := m.GetTokenInfo(id)
			if err != nil || info.Flags&pkcs11.CKF_TOKEN_INITIALIZED == 0 {
				continue
			}
			session, err := m.OpenSession(id, pkcs11.CKF_SERIAL_SESSION)
			if err != nil {
				continue
			}
			sl := &slot{module: m, id: id, info: info, session: session}
			goOn := f(sl)
			sl.close()
			if !goOn {
				return
			}
		}
	}
}

// rescan starts the modules again, as some look for tokens only then, unless they are in use. It reports whether it did.
func (s *Store) rescan() bool {
	if !s.use.TryLock() {
		return false
	}
	defer s.use.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.logins) > 0 {
		return false
	}
	for _, m := range s.modules {
		_ = m.Finalize() // what matters is whether it starts
		if err := m.Initialize(); err != nil {
			s.cfg.Log(logging.Warn, "PKCS#11: Cannot initialize provider again: %v", err)
		}
	}
	return true
}

// find calls f with the token of id.
func (s *Store) find(id ID, f func(sl *slot) error) error {
	err := s.findNow(id, f)
	if errors.Is(err, ErrNoToken) && s.rescan() {
		err = s.findNow(id, f)
	}
	return err
}

func (s *Store) findNow(id ID, f func(sl *slot) error) error {
	err := ErrNoToken
	s.each(func(sl *slot) bool {
		if !id.onToken(sl.info.ManufacturerID, sl.info.Model, sl.info.SerialNumber, sl.info.Label) {
			return true
		}
		err = f(sl)
		return false
	})
	return err
}

// objects returns the attributes of all objects of a template.
func (sl *slot) objects(template []*pkcs11.Attribute, attributes ...uint) ([][]*pkcs11.Attribute, []pkcs11.ObjectHandle, error) {
	if err := sl.FindObjectsInit(sl.session, template); err != nil {
		return nil, nil, err
	}
	var handles []pkcs11.ObjectHandle
	for {
		more, _, err := sl.FindObjects(sl.session, 64)
		if err != nil || len(more) == 0 {
			if end := sl.FindObjectsFinal(sl.session); err == nil {
				err = end
			}
			if err != nil {
				return nil, nil, err
			}
			break
		}
		handles = append(handles, more...)
	}
	if len(attributes) == 0 {
		return nil, handles, nil // the library must not be asked for none
	}
	var out [][]*pkcs11.Attribute
	for _, h := range handles {
		var want []*pkcs11.Attribute
		for _, a := range attributes {
			want = append(want, pkcs11.NewAttribute(a, nil))
		}
		got, err := sl.GetAttributeValue(sl.session, h, want)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, got)
	}
	return out, handles, nil
}

func certificates(object []byte) []*pkcs11.Attribute {
	t := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_CERTIFICATE),
		pkcs11.NewAttribute(pkcs11.CKA_CERTIFICATE_TYPE, pkcs11.CKC_X_509),
	}
	if object != nil {
		t = append(t, pkcs11.NewAttribute(pkcs11.CKA_ID, object))
	}
	return t
}

// Identities lists the certificates that can be seen without a PIN, sorted by id.
func (s *Store) Identities() []Identity {
	if s == nil {
		return nil
	}
	var out []Identity
	s.each(func(sl *slot) bool {
		certs, _, err := sl.objects(certificates(nil), pkcs11.CKA_ID, pkcs11.CKA_VALUE)
		if err != nil {
			return true
		}
		for _, c := range certs {
			id := ID{sl.info.ManufacturerID, sl.info.Model, sl.info.SerialNumber, sl.info.Label, c[0].Value}
			out = append(out, Identity{ID: id, Cert: c[1].Value})
		}
		return true
	})
	slices.SortFunc(out, func(a, b Identity) int { return slices.Compare([]byte(a.ID.String()), []byte(b.ID.String())) })
	return out
}

// Certificate finds the certificate of an id. The PIN is needed only for tokens that hide certificates.
// Errors: ErrNoToken, ErrNoObject, the PIN's, and the module's.
func (s *Store) Certificate(ctx context.Context, id ID, pin PIN) (*Key, error) {
	var k *Key
	err := s.find(id, func(sl *slot) error {
		if sl.certPrivate {
			if err := s.login(ctx, sl, pin); err != nil {
				return err
			}
		}
		certs, _, err := sl.objects(certificates(id.Object), pkcs11.CKA_VALUE)
		if err != nil {
			return fmt.Errorf("read certificate: %w", err)
		}
		if len(certs) == 0 {
			return ErrNoObject
		}
		list, err := sl.GetMechanismList(sl.id)
		if err != nil {
			return fmt.Errorf("ask the token what it can do: %w", err)
		}
		k = &Key{Cert: certs[0][0].Value, store: s, id: id}
		for _, m := range list {
			k.forms.PSS = k.forms.PSS || m.Mechanism == pkcs11.CKM_RSA_PKCS_PSS
			k.forms.PKCS1 = k.forms.PKCS1 || m.Mechanism == pkcs11.CKM_RSA_PKCS
			k.forms.Raw = k.forms.Raw || m.Mechanism == pkcs11.CKM_RSA_X_509
		}
		return nil
	})
	return k, err
}

// maxPIN is how often a PIN may be tried for one login: tokens lock themselves after a few more.
const maxPIN = 3

// login makes the token accept uses of private objects, for all its sessions.
func (s *Store) login(ctx context.Context, sl *slot, pin PIN) error {
	key := sl.info.SerialNumber + "/" + sl.info.Label
	s.mu.Lock()
	last, in := s.logins[key]
	s.mu.Unlock()
	if in && s.cfg.PINCache > 0 && time.Since(last.since) >= s.cfg.PINCache {
		_ = sl.Logout(sl.session) // a token that is logged out already is fine
		in = false
	}
	state, err := sl.GetSessionInfo(sl.session)
	if err != nil {
		return fmt.Errorf("session of the token: %w", err)
	}
	if in && state.State == pkcs11.CKS_RO_USER_FUNCTIONS || sl.info.Flags&pkcs11.CKF_LOGIN_REQUIRED == 0 {
		return nil
	}
	for try := 1; ; try++ {
		text := ""
		if !sl.protected && sl.info.Flags&pkcs11.CKF_PROTECTED_AUTHENTICATION_PATH == 0 {
			if text, err = pin(ctx, sl.info.Label); err != nil {
				return err
			}
		}
		err = sl.Login(sl.session, pkcs11.CKU_USER, text)
		switch {
		case err == nil, isError(err, pkcs11.CKR_USER_ALREADY_LOGGED_IN):
			keep, err := sl.OpenSession(sl.id, pkcs11.CKF_SERIAL_SESSION)
			if err != nil {
				return fmt.Errorf("keep the token logged in: %w", err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if last, ok := s.logins[key]; ok {
				_ = sl.CloseSession(last.session) // gone if the token was pulled
			}
			s.logins[key] = login{time.Now(), keep}
			return nil
		case isError(err, pkcs11.CKR_PIN_INCORRECT), isError(err, pkcs11.CKR_PIN_LEN_RANGE), isError(err, pkcs11.CKR_PIN_INVALID):
			if try == maxPIN {
				return fmt.Errorf("%w: %w", ErrPIN, err)
			}
		default:
			return fmt.Errorf("log in to the token: %w", err)
		}
	}
}

// onToken reports whether the id is of a token with these names.
func (id ID) onToken(manufacturer, model, serial, label string) bool {
	return id.Manufacturer == manufacturer && id.Model == model && id.Serial == serial && id.Label == label
}
