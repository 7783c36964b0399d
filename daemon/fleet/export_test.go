package fleet

// LeasesOf are the leases, by slot, in the pages among records.
func LeasesOf(records []Record) map[int]Lease {
	all := make(map[int]Lease)
	for _, r := range records {
		n, ok := pageNumber(r.Key)
		if !ok {
			continue
		}
		p, err := decodePage(n, r.Value)
		if err != nil {
			continue
		}
		for i, e := range p {
			if e.lease != nil {
				all[firstOf(n)+i] = *e.lease
			}
		}
	}
	return all
}
