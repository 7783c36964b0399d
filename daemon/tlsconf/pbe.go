package tlsconf

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // what old key files hold
	"crypto/md5" //nolint:gosec // as above
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/scrypt"
)

// FormError means a private key or bundle that is encrypted in a way that cannot be opened here, with any passphrase.
type FormError struct{ Algorithm string }

func (e *FormError) Error() string {
	return fmt.Sprintf("private key is encrypted with %s, which cannot be opened here; convert it: openssl pkey -in OLD -aes256 -out NEW", e.Algorithm)
}

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
)

// algorithmNames are OpenSSL's names of what keys are encrypted with, for errors.
var algorithmNames = map[string]string{
	"1.2.840.113549.1.5.1": "PBE-MD2-DES", "1.2.840.113549.1.5.3": "PBE-MD5-DES", "1.2.840.113549.1.5.4": "PBE-MD2-RC2-64",
	"1.2.840.113549.1.5.6": "PBE-MD5-RC2-64", "1.2.840.113549.1.5.10": "PBE-SHA1-DES", "1.2.840.113549.1.5.11": "PBE-SHA1-RC2-64",
	"1.2.840.113549.1.12.1.1": "PBE-SHA1-RC4-128", "1.2.840.113549.1.12.1.2": "PBE-SHA1-RC4-40",
	"1.2.840.113549.1.12.1.5": "PBE-SHA1-RC2-128", "1.2.840.113549.1.12.1.6": "PBE-SHA1-RC2-40",
	"1.3.14.3.2.7": "DES-CBC", "1.2.840.113549.3.2": "RC2-CBC", "1.2.410.200004.1.4": "SEED-CBC",
	"1.2.392.200011.61.1.1.1.2": "CAMELLIA-128-CBC", "1.2.392.200011.61.1.1.1.3": "CAMELLIA-192-CBC", "1.2.392.200011.61.1.1.1.4": "CAMELLIA-256-CBC",
	"1.2.410.200046.1.1.2": "ARIA-128-CBC", "1.2.410.200046.1.1.7": "ARIA-192-CBC", "1.2.410.200046.1.1.12": "ARIA-256-CBC",
	"1.2.156.10197.1.104.2": "SM4-CBC", "2.16.840.1.101.3.4.1.4": "AES-128-CFB", "2.16.840.1.101.3.4.1.24": "AES-192-CFB", "2.16.840.1.101.3.4.1.44": "AES-256-CFB",
	"2.16.840.1.101.3.4.1.3": "AES-128-OFB", "2.16.840.1.101.3.4.1.23": "AES-192-OFB", "2.16.840.1.101.3.4.1.43": "AES-256-OFB",
	"1.2.643.2.2.21": "GOST 28147-89", "1.2.156.10197.1.401.2": "HMAC-SM3", "1.2.643.7.1.1.4.1": "HMAC-Streebog-256",
}

func formError(id asn1.ObjectIdentifier) error {
	if name, ok := algorithmNames[id.String()]; ok {
		return &FormError{name}
	}
	return &FormError{"algorithm " + id.String()}
}

// blockCipher is a cipher in CBC mode.
type blockCipher struct {
	key int // bytes
	new func([]byte) (cipher.Block, error)
}

var cbcCiphers = map[string]blockCipher{
	"2.16.840.1.101.3.4.1.2":  {16, aes.NewCipher},
	"2.16.840.1.101.3.4.1.22": {24, aes.NewCipher},
	"2.16.840.1.101.3.4.1.42": {32, aes.NewCipher},
	"1.2.840.113549.3.7":      {24, des.NewTripleDESCipher},
}

// prfs are the functions of PBKDF2.
var prfs = map[string]func() hash.Hash{
	"1.2.840.113549.2.6": md5.New, "1.2.840.113549.2.7": sha1.New, "1.2.840.113549.2.8": sha256.New224, "1.2.840.113549.2.9": sha256.New,
	"1.2.840.113549.2.10": sha512.New384, "1.2.840.113549.2.11": sha512.New,
	"1.2.840.113549.2.12": sha512.New512_224, "1.2.840.113549.2.13": sha512.New512_256,
}

// opener opens what one algorithm with its parameters has closed. A wrong passphrase mostly gives ErrPassphrase, and rubbish else.
type opener func(data []byte, pass string) ([]byte, error)

// openerOf returns how to open what alg closed, or a *FormError.
//
// Rule: RFC 8018, section 6.2; RFC 7292, appendix B and C; RFC 7914, section 7.
func openerOf(alg pkix.AlgorithmIdentifier) (opener, error) {
	switch id := alg.Algorithm; {
	case id.Equal(oidPBES2):
		return pbes2(alg.Parameters.FullBytes)
	case id.String() == "1.2.840.113549.1.12.1.3":
		return pbes1(alg.Parameters.FullBytes, 24)
	case id.String() == "1.2.840.113549.1.12.1.4":
		return pbes1(alg.Parameters.FullBytes, 16)
	default:
		return nil, formError(id)
	}
}

func pbes2(params []byte) (opener, error) {
	var p struct{ KDF, Cipher pkix.AlgorithmIdentifier }
	if _, err := asn1.Unmarshal(params, &p); err != nil {
		return nil, fmt.Errorf("parameters of PBES2: %w", err)
	}
	c, ok := cbcCiphers[p.Cipher.Algorithm.String()]
	if !ok {
		return nil, formError(p.Cipher.Algorithm)
	}
	var iv []byte
	if _, err := asn1.Unmarshal(p.Cipher.Parameters.FullBytes, &iv); err != nil {
		return nil, fmt.Errorf("initialization vector: %w", err)
	}
	derive, err := kdf(p.KDF, c.key)
	if err != nil {
		return nil, err
	}
	return func(data []byte, pass string) ([]byte, error) {
		key, err := derive(pass)
		if err != nil {
			return nil, err
		}
		return openCBC(c, key, iv, data)
	}, nil
}

// kdf returns how a key of size bytes comes from a passphrase.
func kdf(alg pkix.AlgorithmIdentifier, size int) (func(pass string) ([]byte, error), error) {
	switch {
	case alg.Algorithm.Equal(oidPBKDF2):
		var p struct {
			Salt       []byte
			Iterations int
			KeyLength  int                      `asn1:"optional"`
			PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
		}
		if _, err := asn1.Unmarshal(alg.Parameters.FullBytes, &p); err != nil {
			return nil, fmt.Errorf("parameters of PBKDF2: %w", err)
		}
		prf := sha1.New
		if len(p.PRF.Algorithm) > 0 {
			var ok bool
			if prf, ok = prfs[p.PRF.Algorithm.String()]; !ok {
				return nil, formError(p.PRF.Algorithm)
			}
		}
		return func(pass string) ([]byte, error) { return pbkdf2.Key(prf, pass, p.Salt, p.Iterations, size) }, nil
	case alg.Algorithm.Equal(oidScrypt):
		var p struct {
			Salt      []byte
			N, R, P   int
			KeyLength int `asn1:"optional"`
		}
		if _, err := asn1.Unmarshal(alg.Parameters.FullBytes, &p); err != nil {
			return nil, fmt.Errorf("parameters of scrypt: %w", err)
		}
		return func(pass string) ([]byte, error) { return scrypt.Key([]byte(pass), p.Salt, p.N, p.R, p.P, size) }, nil
	default:
		return nil, formError(alg.Algorithm)
	}
}

// pbes1 is the scheme of PKCS#12 with triple DES, under two or three keys.
func pbes1(params []byte, size int) (opener, error) {
	var p struct {
		Salt       []byte
		Iterations int
	}
	if _, err := asn1.Unmarshal(params, &p); err != nil {
		return nil, fmt.Errorf("parameters of the passphrase: %w", err)
	}
	return func(data []byte, pass string) ([]byte, error) {
		key := pkcs12Key(sha1.New, bmp(pass), p.Salt, p.Iterations, 1, size)
		if size == 16 {
			key = append(key, key[:8]...)
		}
		iv := pkcs12Key(sha1.New, bmp(pass), p.Salt, p.Iterations, 2, des.BlockSize)
		return openCBC(blockCipher{24, des.NewTripleDESCipher}, key, iv, data)
	}, nil
}

func openCBC(c blockCipher, key, iv, data []byte) ([]byte, error) {
	block, err := c.new(key)
	if err != nil {
		return nil, err
	}
	size := block.BlockSize()
	if len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, errors.New("encrypted key is cut off")
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > size || !bytes.Equal(plain[len(plain)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, ErrPassphrase
	}
	return plain[:len(plain)-pad], nil
}

// bmp is a passphrase in the form that PKCS#12 wants: UTF-16, big-endian, with a zero at its end. One that is not in UTF-8 is taken
// for Latin-1, as by OpenSSL.
func bmp(pass string) []byte {
	units := utf16.Encode([]rune(pass))
	if !utf8.ValidString(pass) {
		units = units[:0]
		for _, c := range []byte(pass) {
			units = append(units, uint16(c))
		}
	}
	var b []byte
	for _, u := range units {
		b = append(b, byte(u>>8), byte(u)) //nolint:gosec // halves
	}
	return append(b, 0, 0)
}

// pkcs12Key derives size bytes from a passphrase: id 1 for keys, 2 for initialization vectors, 3 for a MAC.
//
// Rule: RFC 7292, appendix B.2.
func pkcs12Key(newHash func() hash.Hash, pass, salt []byte, iterations int, id byte, size int) []byte {
	h := newHash()
	v := h.BlockSize()
	fill := func(b []byte) []byte {
		if len(b) == 0 {
			return nil
		}
		n := (len(b) + v - 1) / v * v
		return bytes.Repeat(b, n/len(b)+1)[:n]
	}
	d := bytes.Repeat([]byte{id}, v)
	i := append(fill(salt), fill(pass)...)
	var out []byte
	for len(out) < size {
		h.Reset()
		h.Write(d)
		h.Write(i)
		a := h.Sum(nil)
		for range iterations - 1 {
			h.Reset()
			h.Write(a)
			a = h.Sum(a[:0])
		}
		out = append(out, a...)
		// Each block of i grows by the block of a, and one.
		b := fill(a)[:v]
		for j := 0; j < len(i); j += v {
			carry := 1
			for k := v - 1; k >= 0; k-- {
				carry += int(i[j+k]) + int(b[k])
				i[j+k] = byte(carry) //nolint:gosec // the low octet
				carry >>= 8
			}
		}
	}
	return out[:size]
}
