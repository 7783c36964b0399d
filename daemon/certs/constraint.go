package certs

import (
	"bytes"
	"crypto/x509"
	"strings"
)

// Breaks says why the name constraints of an authority refuse a certificate below it, in OpenSSL's words, or nothing. leaf is
// the peer's own certificate: without a DNS name, its common name is taken for one if it looks like one.
//
// Rule: RFC 5280, section 4.2.1.10.
func Breaks(authority, cert *x509.Certificate, leaf bool) string {
	value, ok := Extension(authority, OIDNameConstraints)
	if !ok {
		return ""
	}
	permitted, excluded, err := subtrees(value)
	if err != nil {
		return "unsupported or invalid name constraint syntax"
	}
	names, err := namesOf(cert, leaf)
	if err != nil {
		return "unsupported or invalid name syntax"
	}
	for _, n := range names {
		has, allowed := false, false
		for _, tree := range permitted {
			if tree.base.Kind != n.Kind {
				continue
			}
			in, known := tree.base.covers(n)
			if !known || tree.bounded {
				return "unsupported name constraint type"
			}
			has, allowed = true, allowed || in
		}
		if has && !allowed {
			return "permitted subtree violation"
		}
		for _, tree := range excluded {
			if tree.base.Kind != n.Kind {
				continue
			}
			switch in, known := tree.base.covers(n); {
			case !known || tree.bounded:
				return "unsupported name constraint type"
			case in:
				return "excluded subtree violation"
			}
		}
	}
	return ""
}

// subtree is a set of names. bounded ones have a minimum or maximum, which nobody uses.
type subtree struct {
	base    GeneralName
	bounded bool
}

func subtrees(value []byte) (permitted, excluded []subtree, err error) {
	r := reader(value)
	list, err := r.want(tagSequence)
	if err != nil {
		return nil, nil, err
	}
	for r = list.content; !r.empty(); {
		set, err := r.next()
		if err != nil {
			return nil, nil, err
		}
		var trees []subtree
		for s := set.content; !s.empty(); {
			e, err := s.want(tagSequence)
			if err != nil {
				return nil, nil, err
			}
			base, err := e.content.next()
			if err != nil || base.tag&0xc0 != 0x80 {
				return nil, nil, errDER
			}
			trees = append(trees, subtree{GeneralName{int(base.tag & 0x1f), base.content}, !e.content.empty()})
		}
		switch set.tag {
		case 0xa0:
			permitted = trees
		case 0xa1:
			excluded = trees
		default:
			return nil, nil, errDER
		}
	}
	return permitted, excluded, nil
}

// namesOf are all names of a certificate that constraints speak of.
func namesOf(cert *x509.Certificate, leaf bool) ([]GeneralName, error) {
	var names []GeneralName
	sets := Names(cert.RawSubject)
	if len(sets) > 0 {
		names = append(names, GeneralName{KindDirectory, cert.RawSubject})
	}
	for _, set := range sets {
		for _, a := range set {
			if a.Type.Equal(oidEmail) {
				names = append(names, GeneralName{KindEmail, []byte(a.Value)})
			}
		}
	}
	dns := false
	if value, ok := Extension(cert, OIDSubjectAltName); ok {
		alternative, err := GeneralNames(value)
		if err != nil {
			return nil, err
		}
		for _, n := range alternative {
			dns = dns || n.Kind == KindDNS
			names = append(names, n)
		}
	}
	if leaf && !dns {
		for _, set := range sets {
			for _, a := range set {
				if a.Type.Equal(oidCommonName) && looksLikeHost(a.Value) {
					names = append(names, GeneralName{KindDNS, []byte(a.Value)})
				}
			}
		}
	}
	return names, nil
}

// looksLikeHost reports whether a common name has the form of a host name of more than one label.
func looksLikeHost(s string) bool {
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return false
		}
	}
	return len(labels) > 1
}

// uriHost is the host of what follows "://" in a URI: without path, user and port (RFC 3986, section 3.2).
func uriHost(rest string) string {
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if i := strings.IndexByte(rest, ']'); i >= 0 {
		return rest[:i+1] // an IPv6 address has colons of its own
	}
	host, _, _ := strings.Cut(rest, ":")
	return host
}

// covers reports whether n, of the same kind, is in the tree below base. known is false for kinds that are not compared.
func (base GeneralName) covers(n GeneralName) (in, known bool) {
	name, tree := strings.ToLower(n.Text()), strings.ToLower(base.Text())
	switch n.Kind {
	case KindDNS:
		return within(name, tree), true
	case KindEmail:
		host := name
		if i := strings.LastIndexByte(name, '@'); i >= 0 {
			host = name[i+1:]
		}
		switch {
		case strings.Contains(tree, "@") && tree[0] != '@':
			// The part before the @ is compared with its case.
			i, j := bytes.LastIndexByte(n.Value, '@'), bytes.LastIndexByte(base.Value, '@')
			return i >= 0 && string(n.Value[:i]) == string(base.Value[:j]) && name[strings.LastIndexByte(name, '@'):] == tree[strings.LastIndexByte(tree, '@'):], true
		case strings.HasPrefix(tree, "."):
			return strings.HasSuffix(host, tree), true
		default:
			return tree == "" || host == strings.TrimPrefix(tree, "@"), true
		}
	case KindURI:
		_, rest, ok := strings.Cut(name, "://")
		if !ok {
			return false, false
		}
		host := uriHost(rest)
		if strings.HasPrefix(tree, ".") {
			return strings.HasSuffix(host, tree), true
		}
		return tree == "" || host == tree, true
	case KindIP:
		size := len(n.Value)
		if len(base.Value) != 2*size {
			return false, len(base.Value) == 8 || len(base.Value) == 32
		}
		for i, b := range n.Value {
			if mask := base.Value[size+i]; b&mask != base.Value[i]&mask {
				return false, true
			}
		}
		return true, true
	case KindDirectory:
		have, want := Names(n.Value), Names(base.Value)
		if len(have) < len(want) {
			return false, true
		}
		for i := range want {
			if !sameSet(have[i], want[i]) {
				return false, true
			}
		}
		return true, true
	default:
		return false, false
	}
}

// within reports whether a host is the one of a tree or below it.
func within(host, tree string) bool {
	if tree == "" || host == tree {
		return true
	}
	return strings.HasSuffix(host, "."+strings.TrimPrefix(tree, "."))
}

func sameSet(a, b []Attribute) bool { return canonicalSet(a) == canonicalSet(b) }
