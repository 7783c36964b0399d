package keys

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"strings"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/blake2s"
	//lint:ignore SA1019 what old configurations name
	"golang.org/x/crypto/ripemd160" //nolint:staticcheck,gosec // the same for the other linters
)

// ErrDigest is wrapped in errors for digest names that are not known.
var ErrDigest = errors.New("keys: unknown digest")

// Digest is a hash the option auth may name, for HMACs of tls-auth and of the data channel without AEAD.
type Digest struct {
	Name string // as the options string shows it
	Size int    // bytes of the HMAC
	New  func() hash.Hash
}

// digests in the order they are listed to users.
var digests = []Digest{
	{"MD5", md5.Size, md5.New},
	{"SHA1", sha1.Size, sha1.New},
	{"SHA224", sha256.Size224, sha256.New224},
	{"SHA256", sha256.Size, sha256.New},
	{"SHA384", sha512.Size384, sha512.New384},
	{"SHA512", sha512.Size, sha512.New},
	{"SHA512-224", sha512.Size224, sha512.New512_224},
	{"SHA512-256", sha512.Size256, sha512.New512_256},
	{"SHA3-224", 28, func() hash.Hash { return sha3.New224() }},
	{"SHA3-256", 32, func() hash.Hash { return sha3.New256() }},
	{"SHA3-384", 48, func() hash.Hash { return sha3.New384() }},
	{"SHA3-512", 64, func() hash.Hash { return sha3.New512() }},
	{"RIPEMD160", ripemd160.Size, ripemd160.New},
	{"BLAKE2b512", blake2b.Size, newBLAKE2b},
	{"BLAKE2s256", blake2s.Size, newBLAKE2s},
}

// Digests lists what ParseDigest knows, for --show-digests. The slice is the caller's.
func Digests() []Digest { return append([]Digest(nil), digests...) }

// ParseDigest finds a digest by name, whatever its case; "RSA-SHA256", "SHA2-256" and "SHA-256" are other spellings of SHA256, "RMD160" is
// one of RIPEMD160. "none" is not a digest: the caller handles it. The error wraps ErrDigest.
func ParseDigest(name string) (Digest, error) {
	bare := strings.TrimPrefix(strings.ToUpper(name), "RSA-")
	for _, prefix := range []string{"SHA2-", "SHA-"} {
		if bits, ok := strings.CutPrefix(bare, prefix); ok {
			bare = "SHA" + strings.ReplaceAll(bits, "/", "-")
		}
	}
	switch bare {
	case "RMD160", "RIPEMD", "RIPEMD-160":
		bare = "RIPEMD160"
	}
	for _, d := range digests {
		if strings.EqualFold(d.Name, bare) {
			return d, nil
		}
	}
	return Digest{}, fmt.Errorf("%w: %s", ErrDigest, name)
}

func newBLAKE2b() hash.Hash {
	h, err := blake2b.New512(nil)
	if err != nil {
		panic(err) // only a key can be wrong, and there is none
	}
	return h
}

func newBLAKE2s() hash.Hash {
	h, err := blake2s.New256(nil)
	if err != nil {
		panic(err) // as above
	}
	return h
}
