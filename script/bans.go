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

// maxBans is how many bans a script may have at once.
const maxBans = 10_000

var banBucket = []byte("moongate.bans")

// ban keeps clients out for a time.
type ban struct {
	until  time.Time
	reason string // for the client
}

// bans are those of one script, by whom they keep out: "name joe", "address 192.0.2.7". They are in memory, and in the script's store where
// that is allowed: a store is read when the script starts, and again when it begins to handle events, as an older version may have
// banned meanwhile.
type bans map[string]ban

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

// addBan is what kill{…, ban = seconds} does beside killing: true, or nil and why not.
func (r *runtime) addBan(L *lua.LState) int {
	who := L.CheckString(1) + " " + L.CheckString(2)
	b := ban{r.now().Add(seconds(L, 3)), L.OptString(4, "")}
	if r.tell("ban %s for %v", who, b.until.Sub(r.now()).Round(time.Second)) {
		return push(L, lua.LTrue, nil)
	}
	r.sweepBans()
	if _, known := r.bans[who]; !known && len(r.bans) >= maxBans {
		return push(L, nil, fmt.Errorf("%d bans are in force, more are not kept", maxBans))
	}
	if r.bans == nil {
		r.bans = make(bans)
	}
	r.bans[who] = b
	if err := r.saveBans(L); err != nil {
		r.log.Warn("a ban would not outlive this script", "of", who, "err", err)
	}
	return push(L, lua.LTrue, nil)
}

func (r *runtime) sweepBans() {
	now := r.now()
	maps.DeleteFunc(r.bans, func(_ string, b ban) bool { return !now.Before(b.until) })
}

// saveBans writes all bans to the store, where that is allowed.
func (r *runtime) saveBans(L *lua.LState) error {
	if !r.o.Allow.Store {
		return nil
	}
	db, err := r.database(L)
	if err != nil {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error {
		if err := tx.DeleteBucket(banBucket); err != nil && tx.Bucket(banBucket) != nil {
			return err
		}
		bucket, err := tx.CreateBucket(banBucket)
		if err != nil {
			return err
		}
		for _, who := range slices.Sorted(maps.Keys(r.bans)) {
			value := binary.BigEndian.AppendUint64(nil, uint64(r.bans[who].until.UnixNano())) //nolint:gosec // a time
			if err := bucket.Put([]byte(who), append(value, r.bans[who].reason...)); err != nil {
				return err
			}
		}
		return nil
	})
}

// loadBans reads the bans of the store, if there is one.
func (r *runtime) loadBans() {
	if !r.o.Allow.Store {
		return
	}
	if _, err := os.Stat(r.storePath()); errors.Is(err, os.ErrNotExist) {
		return
	}
	db, err := r.database(r.L.LState)
	if err != nil {
		r.log.Error("the bans of the store are not in force", "err", err)
		return
	}
	err = db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(banBucket)
		if bucket == nil {
			return nil
		}
		return bucket.ForEach(func(who, value []byte) error {
			if len(value) < 8 {
				return nil
			}
			if r.bans == nil {
				r.bans = make(bans)
			}
			until := time.Unix(0, int64(binary.BigEndian.Uint64(value))) //nolint:gosec // as it was written
			if until.After(r.bans[string(who)].until) {
				r.bans[string(who)] = ban{until, string(value[8:])}
			}
			return nil
		})
	})
	if err != nil {
		r.log.Error("the bans of the store are not in force", "store", db.Path(), "err", err)
	}
	r.sweepBans()
}

// banned is the ban that an event's client is under.
func (r *runtime) banned(ev *lib.Event) (who string, b ban, ok bool) {
	now := r.now()
	find := func(kind, text string) {
		if x, is := r.bans[kind+" "+text]; is && !ok && now.Before(x.until) {
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
