package server

import "slices"

// names finds instances by their common name.
type names map[string]map[*instance]struct{}

func (n names) add(i *instance) {
	set := n[undef(i.commonName)]
	if set == nil {
		set = make(map[*instance]struct{})
		n[undef(i.commonName)] = set
	}
	set[i] = struct{}{}
}

func (n names) remove(i *instance) {
	set := n[undef(i.commonName)]
	delete(set, i)
	if len(set) == 0 {
		delete(n, undef(i.commonName))
	}
}

// others returns the other instances of a common name, oldest first.
func (n names) others(i *instance) []*instance {
	var list []*instance
	for o := range n[undef(i.commonName)] {
		if o != i {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b *instance) int { return int(a.cid) - int(b.cid) })
	return list
}
