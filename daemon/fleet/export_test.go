package fleet

// LeasesOf are the leases, by slot, in the pages among records.
func LeasesOf(records []Record, pageSize int) map[int]Lease {
	all := make(map[int]Lease)
	for n, p := range pagesOf(records, pageSize) {
		for i, e := range p.leases {
			if e.lease != nil {
				all[n*len(p.leases)+i] = *e.lease
			}
		}
	}
	return all
}

// OwnersOf are the nodes that own pages, by page, in the pages among records.
func OwnersOf(records []Record, pageSize int) map[int]string {
	all := make(map[int]string)
	for n, p := range pagesOf(records, pageSize) {
		if p.owner.Node != "" {
			all[n] = p.owner.Node
		}
	}
	return all
}

// pagesOf are the pages among records that can be read, by number.
func pagesOf(records []Record, pageSize int) map[int]*page {
	geo := newGeometry(0, pageSize)
	all := make(map[int]*page)
	for _, r := range records {
		if n, ok := pageNumber(r.Key); ok {
			if p, err := decodePage(geo.firstOf(n), geo.page, r.Value); err == nil {
				all[n] = p
			}
		}
	}
	return all
}
