package fleet

// geometry divides the slots of a pool. The lower part is for all nodes; the upper quarter is cut into slices, so that two
// nodes never have a slot of their slices in common.
type geometry struct{ slots, slices, size int }

// maxSlices is how many nodes have slices.
const maxSlices = 8

func newGeometry(slots int) geometry {
	reserve := slots / 4
	g := geometry{slots: slots, slices: min(maxSlices, reserve)}
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
