package fleet

import "cmp"

// geometry divides the slots of a pool. The lower part is for all nodes; the upper quarter is cut into slices, so that two
// nodes never have a slot of their slices in common. The leases of a page of slots share a record.
type geometry struct{ slots, slices, size, page int }

// maxSlices is how many nodes have slices.
const maxSlices = 8

// pageSize is how many slots are a page. A record of them all is 64 KiB at the most, 40 KiB usually.
const pageSize = 256

// newGeometry divides a pool of a number of slots. A page of 0 slots has pageSize.
func newGeometry(slots, page int) geometry {
	reserve := slots / 4
	g := geometry{slots: slots, slices: min(maxSlices, reserve), page: cmp.Or(page, pageSize)}
	if g.slices > 0 {
		g.size = reserve / g.slices
	}
	return g
}

// shared is the number of slots for all nodes: those below it.
func (g geometry) shared() int { return g.slots - g.slices*g.size }

// sliceOf is the slice of a slot, -1 for one that is for all nodes.
func (g geometry) sliceOf(slot int) int {
	if slot < g.shared() {
		return -1
	}
	return (slot - g.shared()) / g.size
}

// first is the first slot of a slice.
func (g geometry) first(slice int) int { return g.shared() + slice*g.size }

func (g geometry) pageOf(slot int) int { return slot / g.page }

// inPage is where a slot is in its page.
func (g geometry) inPage(slot int) int { return slot % g.page }

// firstOf is the first slot of a page.
func (g geometry) firstOf(page int) int { return page * g.page }

// sharedPages is how many pages are wholly for all nodes: those below it.
func (g geometry) sharedPages() int { return g.shared() / g.page }
