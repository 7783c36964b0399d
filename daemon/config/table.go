package config

import "sync"

// facts of an option: where it may be written, and what a change of it means. Options for the command line and files may always
// appear there; the other bits add contexts.
type facts uint16

const (
	inMain   facts = 1 << iota // command line and files
	inConn                     // connection blocks, and then a profile's own
	inPush                     // accepted from a server
	inRoutes                   // accepted from a server unless route-nopull
	inCCD                      // files of clients
	inline                     // may be a block
	anywhere                   // no check at all, also in connection blocks

	// What a reload does with a changed line. Without either the option needs a restart: it is about sockets, the device, the process,
	// or would leave a server and its clients with different ideas.
	atOnce // the next handshake, script or look-up takes it, of clients that are connected too
	forNew // clients that connect from now on have it

	inUpdate // a server may change it during a connection

	// ownToSession marks a pulled option that differs from one connection to the next, or after an update, and shapes neither the
	// device nor its routes.
	ownToSession

	ccdOnly  = inCCD                   // only there
	mainCCD  = inMain | inCCD          // main configuration and clients' files
	mainPush = inMain | inPush         // y in the push column
	mainAll  = inMain | inPush | inCCD // y in both
	unruled  = inMain | inPush | inCCD | anywhere
)

// class groups pulled options by what they change.
type class uint16

const (
	classTimers class = 1 << iota
	classExitNotify
	classCompression
	classVerb
	classShaper
	classSockBuf
	classSockFlags
	classPersist
	classIfconfig
	classRoutes
	classRouteExtras
	classDNS
	classEnv
	classPeerID
	classCrypto
	classTunMTU
)

// row is one option that works. To add one, add a row to the table of its concern; others are in table_without.go.
type row struct {
	name     string
	min, max int // parameters, the name not counted
	facts    facts
	class    class
	apply    func(p *parser, a []string) error
}

// many is the max of options that take as many parameters as a line holds.
const many = 15

// option is a row with what the option does here.
type option struct {
	row
	effect Effect
	text   string // why it has no effect or is refused, "" when there is nothing to say
}

var (
	tableOnce    sync.Once
	tableOptions map[string]*option // set once
)

// table finds options by name.
func table() map[string]*option {
	tableOnce.Do(func() { tableOptions = buildTable() })
	return tableOptions
}

func buildTable() map[string]*option {
	m := make(map[string]*option)
	add := func(o *option) {
		if m[o.name] != nil {
			panic("option " + o.name + " has two rows")
		}
		m[o.name] = o
	}
	lists := [][]row{
		generalRows(), scriptRows(), deviceRows(), routeRows(), connectionRows(), proxyRows(), serverRows(), clientRows(),
		tlsRows(), certificateRows(), cryptoRows(), timerRows(), managementRows(), protectionRows(), toolRows(),
	}
	not := refusedOptions()
	if pkcs11Built {
		lists = append(lists, pkcs11Rows())
	} else {
		not = append(not, withoutCards()...)
	}
	for _, rows := range lists {
		for _, r := range rows {
			add(&option{row: r, effect: Works})
		}
	}
	for _, w := range optionsWithoutEffect() {
		add(w.option())
	}
	for _, r := range not {
		add(r.option())
	}
	return m
}

// The functions below make apply functions of the common kinds.

func flag(f func(o *Options) *bool) func(*parser, []string) error {
	return func(p *parser, _ []string) error {
		*f(p.o) = true
		return nil
	}
}

func text(f func(o *Options) *string) func(*parser, []string) error {
	return func(p *parser, a []string) error {
		*f(p.o) = a[0]
		return nil
	}
}

func source(f func(o *Options) *Source) func(*parser, []string) error {
	return func(p *parser, a []string) error {
		*f(p.o) = p.source(a)
		return nil
	}
}

// connFlag and connSource are for options of a profile.

func connFlag(f func(c *Connection) *bool) func(*parser, []string) error {
	return func(p *parser, _ []string) error {
		*f(p.c) = true
		return nil
	}
}
