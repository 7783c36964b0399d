package mgmt

import (
	"fmt"
	"strings"
)

// Role says what a seat may do: a set of rights. Every role can look.
type Role uint8

// The roles that listeners and passwords carry.
const (
	RoleObserve Role = 1                                           // look: status, state, log, …
	RoleOperate Role = RoleObserve | 2                             // hold, signal, kill, verb, …
	RoleAuth    Role = RoleObserve | 4                             // answer prompts and decide about clients
	RoleAdmin   Role = RoleObserve | RoleOperate | RoleAuth | 1<<3 // everything
)

// May reports whether r has all rights of need.
func (r Role) May(need Role) bool { return r&need == need }

// CanAnswer reports whether a seat of this role counts as one that can answer hold, prompts or clients.
func (r Role) CanAnswer() bool { return r.May(RoleOperate) || r.May(RoleAuth) }

// String names the role as configuration spells it; combinations are joined by '+'.
func (r Role) String() string {
	var names []string
	switch {
	case r == RoleAdmin:
		return "admin"
	case r == RoleObserve:
		return "observe"
	}
	if r.May(RoleOperate) {
		names = append(names, "operate")
	}
	if r.May(RoleAuth) {
		names = append(names, "auth")
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, "+")
}

// ParseRole is the inverse of String.
func ParseRole(s string) (Role, error) {
	var r Role
	for name := range strings.SplitSeq(s, "+") {
		switch name {
		case "observe":
			r |= RoleObserve
		case "operate":
			r |= RoleOperate
		case "auth":
			r |= RoleAuth
		case "admin":
			r |= RoleAdmin
		default:
			return 0, fmt.Errorf("role %q: want observe, operate, auth or admin", name)
		}
	}
	return r, nil
}
