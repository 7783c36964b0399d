package script

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
	"go.etcd.io/bbolt"

	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/script/lib"
)

// readAgain is how long a store that could not be read is left alone.
const readAgain = 10 * time.Second

// maxBans is how many bans a script may have at once.
const maxBans = 10_000

var banBucket = []byte("moongate.bans")

// ban keeps clients out for a time.
type ban struct {
	until  time.Time
	reason string // for the client
	loose  bool   // it could not be written to the store
}

// bans lists the bans of one script, by the client that each keeps out: "name joe", "address 192.0.2.7". With a store they are in that, and in memory as they were
// when it was last read. It is read again when another program has changed the file: the version of the script before this one, another script
// with the same store, or a person who lifts a ban.
type bans struct {
	of    map[string]ban
	store stamp     // of the file when of was read
	again time.Time // when a file that could not be read is tried again
}

// stamp tells whether a file was written to.
type stamp struct {
	size int64
	time time.Time
}

func stampOf(path string) stamp {
	st, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{st.Size(), st.ModTime()}
}

// host is the address in text, which may have a port, and in front the protocol, as daemons write it.
func host(text string) (addr netip.Addr, port, ok bool) {
	if proto, rest, ok := strings.Cut(text, ":"); ok && (strings.HasPrefix(proto, "udp") || strings.HasPrefix(proto, "tcp")) {
		text = rest
	}
	if a, err := netip.ParseAddrPort(text); err == nil {
		return a.Addr().Unmap(), true, true
	}
	a, err := netip.ParseAddr(text)
	return a.Unmap(), false, err == nil
}

// hostOf gives the verbs the address in a text and whether it has a port, or nil.
func hostOf(L *lua.LState) int {
	a, port, ok := host(L.CheckString(1))
	if !ok {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(lua.LString(a.String()))
	L.Push(lua.LBool(port))
	return 2
}

// addBan carries out the ban of kill{…, ban = seconds}. It returns true, or nil and why not.
func (r *runtime) addBan(L *lua.LState) int {
	who := L.CheckString(1) + " " + L.CheckString(2)
	b := ban{until: r.now().Add(seconds(L, 3)), reason: L.OptString(4, "")}
	if r.tell("ban %s for %v", who, b.until.Sub(r.now()).Round(time.Second)) {
		return push(L, lua.LTrue, nil)
	}
	r.readBans()
	over := r.sweepBans()
	if _, known := r.bans.of[who]; !known && len(r.bans.of) >= maxBans {
		return push(L, nil, fmt.Errorf("%d bans are in force, more are not kept", maxBans))
	}
	err := r.writeBans(L, func(bucket *bbolt.Bucket) error {
		for _, name := range over {
			if err := bucket.Delete([]byte(name)); err != nil {
				return err
			}
		}
		value := binary.BigEndian.AppendUint64(nil, uint64(b.until.UnixNano())) //nolint:gosec // a time
		return bucket.Put([]byte(who), append(value, b.reason...))
	})
	if err != nil {
		b.loose = true
		r.log.Warn("a ban would not outlive this script", "of", who, "err", err)
	}
	if r.bans.of == nil {
		r.bans.of = make(map[string]ban)
	}
	r.bans.of[who] = b
	return push(L, lua.LTrue, nil)
}

// liftBan carries out unban. It returns true, or nil and why not.
func (r *runtime) liftBan(L *lua.LState) int {
	kind, name := L.CheckString(1), L.CheckString(2)
	who := kind + " " + name
	r.readBans()
	r.sweepBans()
	if _, known := r.bans.of[who]; !known {
		return push(L, nil, fmt.Errorf("the %s %s is not banned", kind, name))
	}
	if r.tell("unban %s", who) {
		return push(L, lua.LTrue, nil)
	}
	if err := r.writeBans(L, func(bucket *bbolt.Bucket) error { return bucket.Delete([]byte(who)) }); err != nil {
		return push(L, nil, fmt.Errorf("the %s %s stays banned: %w", kind, name, err))
	}
	delete(r.bans.of, who)
	return push(L, lua.LTrue, nil)
}

// listBans is bans(): whom this script keeps out.
func (r *runtime) listBans(L *lua.LState) int {
	r.readBans()
	r.sweepBans()
	list := L.NewTable()
	for _, who := range slices.Sorted(maps.Keys(r.bans.of)) {
		kind, name, _ := strings.Cut(who, " ")
		b, row := r.bans.of[who], L.NewTable()
		row.RawSetString(kind, lua.LString(name))
		row.RawSetString("seconds", lua.LNumber(b.until.Sub(r.now()).Round(time.Millisecond).Seconds()))
		if b.reason != "" {
			row.RawSetString("reason", lua.LString(b.reason))
		}
		list.Append(row)
	}
	L.Push(list)
	return 1
}

// sweepBans forgets the bans whose time is over, and returns them.
func (r *runtime) sweepBans() (over []string) {
	now := r.now()
	for who, b := range r.bans.of {
		if !now.Before(b.until) {
			over = append(over, who)
			delete(r.bans.of, who)
		}
	}
	return over
}

// writeBans changes the bans of the store, where that is allowed.
func (r *runtime) writeBans(L *lua.LState, change func(*bbolt.Bucket) error) error {
	if !r.o.Allow.Store {
		return nil
	}
	db, err := r.database(L)
	if err != nil {
		return err
	}
	return update(L, db, func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists(banBucket)
		if err != nil {
			return err
		}
		return change(bucket)
	})
}

// readBans reads the bans of the store, if there is one and another has changed it.
func (r *runtime) readBans() {
	if !r.o.Allow.Store || r.db != nil && r.bans.store == r.opened || r.db == nil && r.bans.store == stampOf(r.storePath()) {
		return
	}
	if r.now().Before(r.bans.again) {
		return
	}
	failed := func(err error) {
		r.bans.again = r.now().Add(readAgain)
		r.log.Error("the bans of the store are not in force", "err", err)
	}
	if _, err := os.Stat(r.storePath()); errors.Is(err, os.ErrNotExist) {
		return
	}
	db, err := r.database(r.L.LState)
	if err != nil {
		failed(err)
		return
	}
	of := make(map[string]ban)
	maps.Copy(of, r.bans.of)
	maps.DeleteFunc(of, func(_ string, b ban) bool { return !b.loose })
	err = view(r.L.LState, db, func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(banBucket)
		if bucket == nil {
			return nil
		}
		return bucket.ForEach(func(who, value []byte) error {
			if len(value) >= 8 {
				until := time.Unix(0, int64(binary.BigEndian.Uint64(value))) //nolint:gosec // as it was written
				of[string(who)] = ban{until: until, reason: string(value[8:])}
			}
			return nil
		})
	})
	if err != nil {
		failed(fmt.Errorf("store %s: %w", db.Path(), err))
		return
	}
	r.bans.of, r.bans.store = of, r.opened
	r.sweepBans()
}

// banned is the ban that an event's client is under.
func (r *runtime) banned(ev *lib.Event) (who string, b ban, ok bool) {
	now := r.now()
	find := func(kind, text string) {
		if x, is := r.bans.of[kind+" "+text]; is && !ok && now.Before(x.until) {
			who, b, ok = kind+" "+text, x, true
		}
	}
	for _, variable := range []string{"common_name", "username"} {
		if v, is := ev.Note.Lookup(variable); is && v != "" {
			find("name", v)
		}
	}
	for _, variable := range []string{"untrusted_ip", "untrusted_ip6", "trusted_ip", "trusted_ip6"} {
		if v, is := ev.Note.Lookup(variable); is {
			if a, _, is := host(v); is {
				find("address", a.String())
			}
		}
	}
	return who, b, ok
}

// keepOut refuses a banned client, or ends its session where logins are not asked about. The event is handled by no function then.
func (r *runtime) keepOut(ev *lib.Event) bool {
	var command []string
	L := r.L.LState
	switch ev.Name {
	case "client.connect", "client.reauth":
		command = []string{"client-deny", field(L, ev, "cid"), field(L, ev, "kid"), "banned"}
	case "client.established":
		command = []string{"client-kill", field(L, ev, "cid")}
	default:
		return false
	}
	r.readBans()
	who, b, ok := r.banned(ev)
	if !ok {
		return false
	}
	switch {
	case b.reason == "":
	case command[0] == "client-kill":
		command = append(command, b.reason)
	default:
		command = append(command, strings.TrimPrefix(strings.TrimPrefix(b.reason, "HALT,"), "RESTART,"))
	}
	r.log.Info("kept out", "ban", who, "until", b.until.Format(time.DateTime), "cid", command[1])
	c := r.c
	r.underWay++
	r.ops.Go(func() {
		_, err := c.Start(r.base, client.Line(command...))(r.base)
		r.post(func() {
			r.underWay--
			if err != nil {
				r.log.Warn("a banned client was not kept out", "command", command[0], "cid", command[1], "err", err)
			}
		})
	})
	return true
}
