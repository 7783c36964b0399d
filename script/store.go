package script

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/moongate-vpn/moongate/script/sandbox"
)

// Bounds of a store.
const (
	maxKey     = 1024     // bytes
	maxValue   = 1 << 20  // bytes
	maxKeys    = 10_000   // that keys returns
	storeLimit = 64 << 20 // bytes of the file: nothing is added above
)

var bucket = []byte("moongate")

// storing holds the file of the module store.
type storing struct {
	db     *bbolt.DB // nil while nothing needs it
	opened stamp     // of the file when it was opened: while it is open no other process writes
}

// storeModule is the module store: a small file of texts by name, each with an end of its time if it has one. A value is its
// expiry in Unix nanoseconds, 0 for none, 8 bytes, and its text.
func (r *runtime) storeModule() *lua.LTable {
	return r.L.SetFuncs(r.L.NewTable(), map[string]lua.LGFunction{
		"get": r.storeGet, "set": r.storeSet, "delete": r.storeDelete, "keys": r.storeKeys,
	})
}

// database opens the file when it is needed.
func (r *runtime) database(L *lua.LState) (*bbolt.DB, error) {
	need(L, r.o.Allow.Store, "store", "store")
	if r.db != nil {
		return r.db, nil
	}
	path := r.storePath()
	var db *bbolt.DB
	var err error
	sandbox.Blocked(L, func() { db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 2 * time.Second}) })
	if err != nil {
		if errors.Is(err, bolterrors.ErrTimeout) {
			err = errors.New("another program has it open")
		}
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	if err := prepare(db); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("store %s: %w", path, err)
	}
	r.db, r.opened = db, stampOf(path)
	return db, nil
}

// storePath is the file of the store.
func (r *runtime) storePath() string {
	return cmp.Or(r.o.Allow.StoreFile, strings.TrimSuffix(r.path, ".lua")+".db")
}

// prepare makes the bucket of a new file.
func prepare(db *bbolt.DB) error {
	there := false
	if err := db.View(func(tx *bbolt.Tx) error { there = tx.Bucket(bucket) != nil; return nil }); err != nil || there {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucketIfNotExists(bucket); return err })
}

// leaveStore closes the file while the script has nothing to do: the version that takes its place, or another script, can open it then.
func (r *runtime) leaveStore() {
	if r.db != nil {
		current := r.bans.store == r.opened
		_ = r.db.Close()
		r.db = nil
		if current { // what was written since is our own
			r.bans.store = stampOf(r.storePath())
		}
	}
}

// view and update are transactions whose time at the disk counts.
func view(L *lua.LState, db *bbolt.DB, f func(*bbolt.Tx) error) (err error) {
	sandbox.Blocked(L, func() { err = db.View(f) })
	return err
}

func update(L *lua.LState, db *bbolt.DB, f func(*bbolt.Tx) error) (err error) {
	sandbox.Blocked(L, func() { err = db.Update(f) })
	return err
}

func checkKey(L *lua.LState) []byte {
	key := L.CheckString(1)
	if key == "" || len(key) > maxKey {
		L.ArgError(1, fmt.Sprintf("a key of 1 to %d bytes", maxKey))
	}
	return []byte(key)
}

// alive splits a value, ok while its time is not over.
func (r *runtime) alive(v []byte) (text []byte, ok bool) {
	if len(v) < 8 {
		return nil, false
	}
	end := int64(binary.BigEndian.Uint64(v)) //nolint:gosec // as it was written
	return v[8:], end == 0 || r.now().UnixNano() < end
}

func push(L *lua.LState, v lua.LValue, err error) int {
	all := values(v, err)
	for _, v := range all {
		L.Push(v)
	}
	return len(all)
}

func (r *runtime) storeGet(L *lua.LState) int {
	key := checkKey(L)
	db, err := r.database(L)
	if err != nil {
		return push(L, nil, err)
	}
	var out lua.LValue = lua.LNil
	err = view(L, db, func(tx *bbolt.Tx) error {
		if text, ok := r.alive(tx.Bucket(bucket).Get(key)); ok {
			out = lua.LString(text)
		}
		return nil
	})
	return push(L, out, err)
}

// storeSet is store.set(key, text, {ttl = seconds}): true, or nil and why not.
func (r *runtime) storeSet(L *lua.LState) int {
	key, text := checkKey(L), L.CheckString(2)
	if len(text) > maxValue {
		L.ArgError(2, fmt.Sprintf("at most %d bytes", maxValue))
	}
	value := make([]byte, 8, 8+len(text))
	if ttl, ok := L.OptTable(3, L.NewTable()).RawGetString("ttl").(lua.LNumber); ok {
		binary.BigEndian.PutUint64(value, uint64(r.now().Add(time.Duration(float64(ttl)*float64(time.Second))).UnixNano())) //nolint:gosec // a time
	}
	value = append(value, text...)
	if r.tell("store.set %s", key) {
		return push(L, lua.LTrue, nil)
	}
	db, err := r.database(L)
	if err != nil {
		return push(L, nil, err)
	}
	err = update(L, db, func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		if tx.Size() > storeLimit {
			if r.sweep(b) == 0 {
				return fmt.Errorf("the store %s is full: at most %d MiB", db.Path(), storeLimit>>20)
			}
		}
		return b.Put(key, value)
	})
	return push(L, lua.LTrue, err)
}

// sweep drops what is over, and counts it.
func (r *runtime) sweep(b *bbolt.Bucket) (n int) {
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if _, ok := r.alive(v); !ok && c.Delete() == nil {
			n++
		}
	}
	return n
}

func (r *runtime) storeDelete(L *lua.LState) int {
	key := checkKey(L)
	if r.tell("store.delete %s", key) {
		return push(L, lua.LTrue, nil)
	}
	db, err := r.database(L)
	if err != nil {
		return push(L, nil, err)
	}
	return push(L, lua.LTrue, update(L, db, func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Delete(key) }))
}

// storeKeys is store.keys(prefix): those whose time is not over, in order.
func (r *runtime) storeKeys(L *lua.LState) int {
	prefix := L.OptString(1, "")
	db, err := r.database(L)
	if err != nil {
		return push(L, nil, err)
	}
	t := L.NewTable()
	err = view(L, db, func(tx *bbolt.Tx) error {
		c := tx.Bucket(bucket).Cursor()
		for k, v := c.Seek([]byte(prefix)); k != nil && strings.HasPrefix(string(k), prefix) && t.Len() < maxKeys; k, v = c.Next() {
			if _, ok := r.alive(v); ok {
				t.Append(lua.LString(k))
			}
		}
		return nil
	})
	return push(L, t, err)
}
