package fleet

// LeasesOf are the leases, by slot, in the pages among records.
func LeasesOf(records []Record, pageSize int) map[int]Lease {
	geo := newGeometry(0, pageSize)
	all := make(map[int]Lease)
	for _, r := range records {
		n, ok := pageNumber(r.Key)
		if !ok {
			continue
		}
		p, err := decodePage(geo.firstOf(n), geo.page, r.Value)
		if err != nil {
			continue
		}
		for i, e := range p.leases {
			if e.lease != nil {
				all[geo.firstOf(n)+i] = *e.lease
			}
		}
	}
	return all
}

// OwnersOf are the nodes that own pages, by page, in the pages among records.
func OwnersOf(records []Record, pageSize int) map[int]string {
	geo := newGeometry(0, pageSize)
	all := make(map[int]string)
	for _, r := range records {
		n, ok := pageNumber(r.Key)
		if !ok {
			continue
		}
		if p, err := decodePage(geo.firstOf(n), geo.page, r.Value); err == nil && p.owner.Node != "" {
			all[n] = p.owner.Node
		}
	}
	return all
}
