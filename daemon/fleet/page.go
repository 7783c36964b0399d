package fleet

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pageSize is how many slots of the pool share one record. A record of them all is 20 KiB at the most, 4 KiB usually.
const pageSize = 32

func pageKey(n int) string  { return Key(kindPage, strconv.Itoa(n)) }
func pageOf(slot int) int   { return slot / pageSize }
func firstOf(page int) int  { return page * pageSize }
func pageRest(slot int) int { return slot % pageSize }

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

// page holds the leases of pageSize slots of the pool.
type page [pageSize]revised

// pageRecord is a page as it is written. The nodes' runs are written once.
type pageRecord struct {
	Runs   []run         `json:"runs"`
	Leases []leaseRecord `json:"leases"`
}

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

// encode is the record of the page with number n.
func (p *page) encode(n int) []byte {
	r := pageRecord{Runs: []run{}, Leases: make([]leaseRecord, 0, pageSize)}
	for i, e := range p {
		l := e.lease
		if l == nil {
			continue
		}
		of := slices.Index(r.Runs, run{l.Node, l.Epoch})
		if of < 0 {
			of = len(r.Runs)
			r.Runs = append(r.Runs, run{l.Node, l.Epoch})
		}
		to := leaseRecord{
			Slot: firstOf(n) + i, Revision: e.revision, Run: of, Session: strings.TrimPrefix(l.Session, l.Epoch), Identity: l.Identity, Mark: l.Mark, Free: l.Free, Clean: l.Clean,
		}
		if !l.Since.IsZero() {
			to.Since = l.Since.UnixMicro()
		}
		r.Leases = append(r.Leases, to)
	}
	return encode(r)
}

// decodePage reads the record of the page with number n.
func decodePage(n int, value []byte) (*page, error) {
	var r pageRecord
	if err := json.Unmarshal(value, &r); err != nil {
		return nil, err
	}
	p := new(page)
	for _, l := range r.Leases {
		if pageOf(l.Slot) != n || l.Slot < 0 || l.Run < 0 || l.Run >= len(r.Runs) {
			return nil, fmt.Errorf("page %d has slot %d of run %d", n, l.Slot, l.Run)
		}
		of := r.Runs[l.Run]
		to := &Lease{Holder: Holder{Node: of.Node, Epoch: of.Epoch, Identity: l.Identity, Mark: l.Mark}, Free: l.Free, Clean: l.Clean}
		if l.Session != "" {
			to.Session = of.Epoch + l.Session
		}
		if l.Since != 0 {
			to.Since = time.UnixMicro(l.Since)
		}
		p[pageRest(l.Slot)] = revised{to, l.Revision}
	}
	return p, nil
}
