package sandbox

import (
	"runtime"
	"runtime/metrics"
)

// heap watches how much of the process's memory a state holds.
//
// The heap of a process tells objects in use together with garbage. So the watch compares it with a ceiling, which costs a
// microsecond, and only above it collects the garbage and measures what is left.
type heap struct {
	limits  Limits
	samples [2]metrics.Sample
	idle    int64 // of the process without the script
	ceiling int64
	began   bool         // start is of this burst
	start   int64        // in use when the burst was first looked at
	size    func() int64 // measures the script's own data; nil: the process is the script's own
	last    int64        // what holds found last
}

// slack is how much garbage may lie around above the limit before the next collection.
const slack = 8 << 20

func (h *heap) init(l Limits) {
	h.limits = l
	h.samples[0].Name = "/memory/classes/heap/objects:bytes"
	h.samples[1].Name = "/memory/classes/heap/stacks:bytes"
	if l.Memory > 0 {
		h.idle = h.inUse()
		h.ceiling = h.idle + l.Memory
	}
}

// inUse is objects, dead ones included, and stacks.
func (h *heap) inUse() int64 {
	metrics.Read(h.samples[:])
	return int64(h.samples[0].Value.Uint64() + h.samples[1].Value.Uint64()) //nolint:gosec // far below 2^63
}

// over looks, and measures when there is reason to.
func (h *heap) over() bool {
	n := h.inUse()
	if !h.began {
		h.began, h.start = true, n
	}
	if n <= h.ceiling {
		return false
	}
	held := h.holds()
	return held > h.limits.Memory || h.limits.Shared && h.inUse()-h.start > h.limits.Memory
}

// holds collects the garbage, measures what the state holds and sets the next ceiling.
func (h *heap) holds() int64 {
	runtime.GC()
	n := h.inUse()
	if h.limits.Shared {
		h.last = 0
		if h.size != nil {
			h.last = h.size()
		}
		h.ceiling = n + h.limits.Memory - min(h.last, h.limits.Memory) + slack
		return h.last
	}
	h.last = n - h.idle
	h.ceiling = max(n, h.idle+h.limits.Memory) + slack
	return h.last
}

// known is the newest figure at hand.
func (h *heap) known() int64 {
	if h.limits.Shared {
		return h.last
	}
	return max(0, h.inUse()-h.idle)
}
