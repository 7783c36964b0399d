package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/asn1"
	"math/big"

	"github.com/ProtonMail/go-crypto/bitcurves"
	"github.com/ProtonMail/go-crypto/brainpool"
)

var oidEC = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}

// curve is an elliptic curve that certificates may name, or describe by its parameters.
type curve struct {
	id    asn1.ObjectIdentifier
	curve elliptic.Curve
	a     int64 // of y² = x³ + ax + b; notA: its keys are not described by parameters
}

const notA = 1

// curves have the keys of authorities and peers. The library has NIST's alone and signs with no other: signatures of the rest are checked only.
var curves = []curve{
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}, elliptic.P256(), -3},
	{asn1.ObjectIdentifier{1, 3, 132, 0, 34}, elliptic.P384(), -3},
	{asn1.ObjectIdentifier{1, 3, 132, 0, 35}, elliptic.P521(), -3},
	{asn1.ObjectIdentifier{1, 3, 132, 0, 33}, elliptic.P224(), -3},
	{asn1.ObjectIdentifier{1, 3, 132, 0, 10}, bitcurves.S256(), 0},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 7}, brainpool.P256r1(), notA},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 8}, brainpool.P256t1(), -3},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 11}, brainpool.P384r1(), notA},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 12}, brainpool.P384t1(), -3},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 13}, brainpool.P512r1(), notA},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 14}, brainpool.P512t1(), -3},
}

// Curve returns the curve that the parameters of an elliptic key name, or of which they are, nil for another. params is DER.
func Curve(params []byte) elliptic.Curve {
	r := reader(params)
	if r.peek() == tagOID {
		e, err := r.next()
		if err != nil {
			return nil
		}
		for _, c := range curves {
			if c.id.Equal(oid(e.content)) {
				return c.curve
			}
		}
		return nil
	}
	d, ok := parseDomain(r)
	if !ok {
		return nil
	}
	for _, c := range curves {
		if c.a != notA && d.is(c.curve.Params(), c.a) {
			return c.curve
		}
	}
	return nil
}

// domain holds the parameters of a curve over a prime field.
//
// Rule: RFC 3279, section 2.3.5.
type domain struct {
	p, a, b, order *big.Int
	base           []byte
}

func parseDomain(r reader) (d domain, ok bool) {
	all, err := r.want(tagSequence)
	if err != nil {
		return d, false
	}
	r = all.content
	if _, err := r.want(tagInteger); err != nil { // version
		return d, false
	}
	field, err := r.want(tagSequence)
	if err != nil {
		return d, false
	}
	kind, err := field.content.want(tagOID)
	if err != nil || !oid(kind.content).Equal(asn1.ObjectIdentifier{1, 2, 840, 10045, 1, 1}) {
		return d, false
	}
	prime, err := field.content.want(tagInteger)
	if err != nil {
		return d, false
	}
	equation, err := r.want(tagSequence)
	if err != nil {
		return d, false
	}
	a, err := equation.content.want(tagOctetString)
	if err != nil {
		return d, false
	}
	b, err := equation.content.want(tagOctetString)
	if err != nil {
		return d, false
	}
	base, err := r.want(tagOctetString)
	if err != nil {
		return d, false
	}
	order, err := r.want(tagInteger)
	if err != nil {
		return d, false
	}
	return domain{integer(prime.content), new(big.Int).SetBytes(a.content), new(big.Int).SetBytes(b.content), integer(order.content), base.content}, true
}

// is reports whether all parameters are those of a curve. An attacker that chooses the base point can sign for any key.
func (d domain) is(c *elliptic.CurveParams, a int64) bool {
	size := (c.BitSize + 7) / 8
	x, y := c.Gx.FillBytes(make([]byte, size)), c.Gy.FillBytes(make([]byte, size))
	odd := y[size-1] & 1
	point := bytes.Equal(d.base, append([]byte{2 | odd}, x...)) // compressed
	for _, form := range []byte{4, 6 | odd} {
		point = point || bytes.Equal(d.base, append(append([]byte{form}, x...), y...))
	}
	wantA := big.NewInt(a)
	wantA.Mod(wantA, c.P)
	return point && d.p.Cmp(c.P) == 0 && d.order.Cmp(c.N) == 0 && d.b.Cmp(c.B) == 0 && d.a.Cmp(wantA) == 0
}

// ecKey reads a point in one of its three forms: whole, compressed, or both at once. Compressed ones are read on NIST's curves only.
func ecKey(params reader, point []byte) *ecdsa.PublicKey {
	c := Curve(params)
	if c == nil || len(point) == 0 {
		return nil
	}
	size := (c.Params().BitSize + 7) / 8
	var x, y *big.Int
	switch form := point[0]; {
	case (form == 2 || form == 3) && isNIST(c):
		if x, y = elliptic.UnmarshalCompressed(c, point); x == nil {
			return nil
		}
	case (form == 4 || form&^1 == 6 && form&1 == point[len(point)-1]&1) && len(point) == 1+2*size:
		x, y = new(big.Int).SetBytes(point[1:1+size]), new(big.Int).SetBytes(point[1+size:])
		//lint:ignore SA1019 the curves outside the standard library have nothing else
		if p := c.Params().P; x.Cmp(p) >= 0 || y.Cmp(p) >= 0 || !c.IsOnCurve(x, y) {
			return nil
		}
	default:
		return nil
	}
	//lint:ignore SA1019 the curves outside the standard library have nothing else
	return &ecdsa.PublicKey{Curve: c, X: x, Y: y}
}

// OnNIST reports whether a key is on one of the curves that the standard library has.
func OnNIST(key *ecdsa.PublicKey) bool { return isNIST(key.Curve) }

func isNIST(c elliptic.Curve) bool {
	switch c {
	case elliptic.P224(), elliptic.P256(), elliptic.P384(), elliptic.P521():
		return true
	}
	return false
}
