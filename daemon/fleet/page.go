package fleet

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

func pageKey(n int) string { return Key(kindPage, strconv.Itoa(n)) }

// pageNumber is the number of a page's key; false for a key of something else.
func pageNumber(key string) (int, bool) {
	rest, ok := strings.CutPrefix(key, kindPage+".")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(rest)
	return n, err == nil && n >= 0 && n < 1<<24
}

// revised is a lease at the revision of its last change; the zero value is none.
type revised struct {
	lease    *Lease
	revision uint64
}

// page holds the leases of the slots of a page.
type page struct {
	// owner alone gives away the slots without a lease, the zero run for nobody: every node may.
	owner  run
	leases []revised // by place in the page
}

// pageRecord is a page as it is written. The nodes' runs are written once.
type pageRecord struct {
	Owner  *int          `json:"owner,omitempty"` // index in Runs
	Runs   []run         `json:"runs"`
	Leases []leaseRecord `json:"leases"`
}

// run is one run of a node.
type run struct {
	Node  string `json:"node"`
	Epoch string `json:"epoch"`
}

type leaseRecord struct {
	Slot     int    `json:"slot"`
	Revision uint64 `json:"rev"`
	Run      int    `json:"run"` // index in Runs
	// Session is without the epoch that begins it.
	Session  string `json:"session,omitempty"`
	Identity string `json:"identity,omitempty"`
	Mark     string `json:"mark,omitempty"`
	Free     bool   `json:"free,omitempty"`
	Clean    bool   `json:"clean,omitempty"`
	Since    int64  `json:"since,omitempty"` // microseconds of the calendar
}

// index is that of a run, which is added if it is not there.
func (r *pageRecord) index(of run) int {
	i := slices.Index(r.Runs, of)
	if i < 0 {
		i = len(r.Runs)
		r.Runs = append(r.Runs, of)
	}
	return i
}

// encode is the record of the page whose first slot is first.
func (p *page) encode(first int) []byte {
	r := pageRecord{Runs: []run{}, Leases: make([]leaseRecord, 0, len(p.leases))}
	if p.owner != (run{}) {
		r.Owner = new(r.index(p.owner))
	}
	for i, e := range p.leases {
		l := e.lease
		if l == nil {
			continue
		}
		to := leaseRecord{
			Slot: first + i, Revision: e.revision, Run: r.index(run{l.Node, l.Epoch}), Session: strings.TrimPrefix(l.Session, l.Epoch), Identity: l.Identity, Mark: l.Mark, Free: l.Free, Clean: l.Clean,
		}
		if !l.Since.IsZero() {
			to.Since = l.Since.UnixMicro()
		}
		r.Leases = append(r.Leases, to)
	}
	return encode(r)
}

// decodePage reads the record of a page of so many slots, whose first is first.
func decodePage(first, slots int, value []byte) (*page, error) {
	var r pageRecord
	if err := json.Unmarshal(value, &r); err != nil {
		return nil, err
	}
	p := &page{leases: make([]revised, slots)}
	if o := r.Owner; o != nil {
		if *o < 0 || *o >= len(r.Runs) {
			return nil, fmt.Errorf("the page is of run %d", *o)
		}
		p.owner = r.Runs[*o]
	}
	for _, l := range r.Leases {
		at := l.Slot - first
		if at < 0 || at >= slots || l.Run < 0 || l.Run >= len(r.Runs) {
			return nil, fmt.Errorf("the page from slot %d on has slot %d of run %d", first, l.Slot, l.Run)
		}
		of := r.Runs[l.Run]
		to := &Lease{Holder: Holder{Node: of.Node, Epoch: of.Epoch, Identity: l.Identity, Mark: l.Mark}, Free: l.Free, Clean: l.Clean}
		if l.Session != "" {
			to.Session = of.Epoch + l.Session
		}
		if l.Since != 0 {
			to.Since = time.UnixMicro(l.Since)
		}
		p.leases[at] = revised{to, l.Revision}
	}
	return p, nil
}
