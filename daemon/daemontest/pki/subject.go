package pki

import "encoding/asn1"

// Attribute is one part of a subject, with the tag of its string type and bytes that may be anything.
type Attribute struct {
	OID   asn1.ObjectIdentifier
	Tag   int // asn1.TagUTF8String when 0
	Value string
}

// CommonName is the type of a common name.
var CommonName = asn1.ObjectIdentifier{2, 5, 4, 3}

// Subject encodes attributes as a subject, each in a set of its own. Nothing is checked.
func Subject(attributes ...Attribute) ([]byte, error) {
	type attribute struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	type set []attribute
	seq := []asn1.RawValue{}
	for _, a := range attributes {
		if a.Tag == 0 {
			a.Tag = asn1.TagUTF8String
		}
		one, err := asn1.MarshalWithParams(set{{a.OID, asn1.RawValue{Tag: a.Tag, Bytes: []byte(a.Value)}}}, "set")
		if err != nil {
			return nil, err
		}
		seq = append(seq, asn1.RawValue{FullBytes: one})
	}
	return asn1.Marshal(seq)
}
