package session

// Stage says how far a peer has come. Both engines use it:
//
//	             at a server                                     at a client
//	Handshake    no login is accepted yet                        no key is active yet
//	Authorised   accepted: addresses, client-connect             the first key is active: PUSH_REQUEST, PUSH_REPLY
//	Configured   client-connect succeeded: learn-address         all options are known: the tunnel opens
//	Established  the tunnel is open                              CONNECTED
//	Gone         removed; possible from every stage              -
//
// A stage is never left for an earlier one; stages may be skipped.
type Stage uint8

// The stages, in their order.
const (
	Handshake Stage = iota
	Authorised
	Configured
	Established
	Gone
)

// Reach moves on to a stage and reports whether that is news: not when the stage is reached already.
func (s *Stage) Reach(to Stage) bool {
	if to <= *s {
		return false
	}
	*s = to
	return true
}
