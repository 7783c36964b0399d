package server

import (
	"container/heap"
	"time"
)

// appointment is when the hub steps a client.
type appointment struct {
	deadline  time.Time
	heapIndex int // in deadlines, -1 outside
}

// deadlines is a heap of instances by the time they want to be stepped.
type deadlines []*instance

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(a, b int) bool { return d[a].deadline.Before(d[b].deadline) }
func (d deadlines) Swap(a, b int) {
	d[a], d[b] = d[b], d[a]
	d[a].heapIndex, d[b].heapIndex = a, b
}

// Push implements heap.Interface.
func (d *deadlines) Push(x any) {
	i := x.(*instance)
	i.heapIndex = len(*d)
	*d = append(*d, i)
}

// Pop implements heap.Interface.
func (d *deadlines) Pop() any {
	old := *d
	i := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	i.heapIndex = -1
	return i
}

// set enters, moves or, with the zero time, takes out an instance.
func (d *deadlines) set(i *instance, at time.Time) {
	switch {
	case at.IsZero() && i.heapIndex >= 0:
		heap.Remove(d, i.heapIndex)
	case at.IsZero():
	case i.heapIndex >= 0:
		i.deadline = at
		heap.Fix(d, i.heapIndex)
	default:
		i.deadline = at
		heap.Push(d, i)
	}
}

func (d deadlines) first() (time.Time, bool) {
	if len(d) == 0 {
		return time.Time{}, false
	}
	return d[0].deadline, true
}
