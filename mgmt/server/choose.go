package server

import (
	"maps"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/mgmt/wire"
)

// useCommand moves a seat to another server, where there are several.
const useCommand = "use"

// use lists the servers to choose from, or moves the seat to one: it is greeted there as if it had just come. A seat that
// the other one has no room for stays.
func (st *seat) use(names []string) {
	s := st.s
	if len(names) == 0 {
		lines := slices.Sorted(maps.Keys(s.cfg.Choices))
		st.reply(strings.Join(append(lines, wire.End), "\r\n"))
		return
	}
	to := s.cfg.Choices[names[0]]
	if to == nil {
		st.reply(wire.Error + "no daemon '" + names[0] + "', " + s.choices())
		return
	}
	st.reply(wire.Success + "using " + names[0])
	s.detach(st)
	st.s = to
	select { // its first attempt to reach the daemon is bounded
	case <-to.begun:
	case <-to.done:
	}
	if err := to.attach(st); err != nil {
		st.s = s
		st.finish()
	}
}

// choices says what a seat may use.
func (s *Server) choices() string {
	return "use one of " + strings.Join(slices.Sorted(maps.Keys(s.cfg.Choices)), ", ")
}
