package tlsconf

import (
	"crypto/sha256"
	"crypto/x509"
	"sync"

	"github.com/moongate-vpn/moongate/daemon/certs"
)

// signatures remembers which certificates are signed by which keys. A client shows the same certificate at each connection and
// each renewal: its signature, a good part of what a handshake costs, is checked once. Dates, revocation and all other checks
// are not remembered. Nobody can fill it with what no issuer has signed.
type signatures struct {
	mu         sync.Mutex
	young, old map[[sha256.Size]byte]struct{} // what old alone has, and is not asked for, goes with it
}

// rememberedSignatures is how many each half holds, 32 bytes each.
const rememberedSignatures = 4096

// check is certs.CheckSignature.
func (s *signatures) check(cert, issuer *x509.Certificate) error {
	h := sha256.New()
	h.Write(issuer.RawSubjectPublicKeyInfo) // tells its own length, so that the sum stands for the pair
	h.Write(cert.Raw)
	sum := [sha256.Size]byte(h.Sum(nil))
	s.mu.Lock()
	_, known := s.young[sum]
	if !known {
		_, known = s.old[sum]
	}
	s.mu.Unlock()
	if !known {
		if err := certs.CheckSignature(cert, issuer); err != nil {
			return err
		}
	}
	s.remember(sum)
	return nil
}

func (s *signatures) remember(sum [sha256.Size]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.young[sum]; ok {
		return
	}
	if s.young == nil || len(s.young) >= rememberedSignatures {
		s.young, s.old = make(map[[sha256.Size]byte]struct{}), s.young
	}
	s.young[sum] = struct{}{}
}
