package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// A word changes a record that all nodes have, as this node was told: a new value, or the end of the record. It holds here at once, and waits on
// disk until the store has heard of it.
type word struct {
	entry *entry // nil takes the record away
	was   string // value of the record that it takes away: another one stays
}

// ErrLater says that something holds at this node, and at the others when the store is back. It is an ErrAway.
var ErrLater = fmt.Errorf("%w: the other nodes hear of it later", ErrAway)

// saying starts the keys of work that is a word about the record behind it.
const saying = "word"

// current is a record as this node was told, if the store has not heard of that yet, else as the store has it.
func (m *Member) current(key string) *entry {
	if w := m.words[key]; w != nil {
		return w.entry
	}
	return m.mirror.records[key]
}

// none reports that this node knows no record of a kind.
func (m *Member) none(kind string) bool { return len(m.words) == 0 && m.mirror.kinds[kind] == 0 }

// tell makes a record hold at this node at once, and writes it in the place of the one before, now or, after ErrLater, when the store is back.
func (m *Member) tell(ctx context.Context, key string, value []byte) error {
	r := Record{Key: key, Value: value}
	m.mu.Lock()
	e := newEntry(r, parse(r), time.Now())
	m.mu.Unlock()
	return m.say(ctx, key, &word{entry: e})
}

// untell takes a record away as tell writes one. It returns ErrNotFound for one that is not there; when that is not known, it returns the
// error and does nothing.
func (m *Member) untell(ctx context.Context, key string) error {
	err := m.refresh(ctx, key)
	m.mu.Lock()
	now := m.current(key)
	w := &word{}
	if e := m.mirror.records[key]; e != nil {
		w.was = string(e.bytes())
	}
	m.mu.Unlock()
	switch {
	case now != nil:
		return m.say(ctx, key, w)
	case err == nil:
		return ErrNotFound // it is taken away already
	}
	return err
}

// say puts a word in force here and tells the store.
func (m *Member) say(ctx context.Context, key string, w *word) error {
	m.mu.Lock()
	if _, again := m.words[key]; !again && len(m.words) >= wordsMost {
		m.mu.Unlock()
		return fmt.Errorf("%d orders wait for the fleet's store already", wordsMost)
	}
	m.words[key] = w
	m.expelBanned(as[Ban](w.entry))
	m.expelRevoked(as[Revocation](w.entry))
	m.mu.Unlock()
	err := m.passOn(ctx, key, w)
	if !errors.Is(err, ErrAway) && !errors.Is(err, ErrUnknown) {
		if err != nil {
			m.heard(key, w)
		}
		return err
	}
	if err := m.folder.said(key, w, time.Now()); err != nil {
		m.cfg.Log("fleet: write %s: %v; after a restart this node does not know what it was told and the others have not heard", m.folder.dir, err)
	}
	m.work.add(saying + "." + key)
	return ErrLater
}

// wordsMost is how many words wait for the store at a time.
const wordsMost = 1024

// settleWord passes the word about a record on and reports whether nothing is left to do.
func (m *Member) settleWord(ctx context.Context, key string) bool {
	m.mu.Lock()
	w, joined := m.words[key], m.joined
	m.mu.Unlock()
	if w == nil {
		return true
	}
	if !joined {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 2*callLimit)
	defer cancel()
	return m.passOn(ctx, key, w) == nil
}

// passOn tells the store a word.
func (m *Member) passOn(ctx context.Context, key string, w *word) error {
	var err error
	if w.entry != nil {
		err = m.replace(ctx, key, w.entry.bytes())
	} else {
		err = m.takeAway(ctx, key, w.was)
	}
	if err == nil {
		m.heard(key, w)
	}
	return err
}

// heard forgets a word, unless another one about the record came after it.
func (m *Member) heard(key string, w *word) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.words[key] == w {
		delete(m.words, key)
		m.folder.heard(key)
	}
}

func (m *Member) replace(ctx context.Context, key string, value []byte) error {
	for ctx.Err() == nil {
		m.mu.Lock()
		e := m.mirror.records[key]
		m.mu.Unlock()
		var err error
		switch {
		case e == nil:
			err = m.create(ctx, key, value)
		case bytes.Equal(e.bytes(), value):
			return nil
		default:
			err = m.update(ctx, key, value, e.Revision)
		}
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
			return err
		}
		if err := m.refresh(ctx, key); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return ErrAway
}

// takeAway deletes a record that has a value; another word of the fleet about it stays.
func (m *Member) takeAway(ctx context.Context, key, was string) error {
	for ctx.Err() == nil {
		if err := m.refresh(ctx, key); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		m.mu.Lock()
		e := m.mirror.records[key]
		m.mu.Unlock()
		if e == nil || string(e.bytes()) != was {
			return nil
		}
		if err := m.remove(ctx, key, e.Revision); !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return ErrAway
}
