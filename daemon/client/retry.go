package client

import "time"

// pauses computes how long to wait before the next connection attempt.
type pauses struct {
	attempts int           // unsuccessful ones since the last success
	backoff  time.Duration // what a server asked for, for the next pause only
	skip     bool          // no pause this time: the time was spent waiting for an answer
}

// slowAfter is the number of unsuccessful rounds through the profiles after which the pause starts to double.
const slowAfter = 4

// nointeractBase is the pause when rejected credentials are sent again without a question.
const nointeractBase = 10 * time.Second

// next returns the pause before the next attempt.
//
//	base · 2^(rounds−4) from the fifth unsuccessful round on
//
// Rounds are attempts divided by the number of profiles. A server's backoff request raises the result and is used up.
// Whatever comes out, limit is the longest pause.
func (p *pauses) next(base, limit time.Duration, profiles int) time.Duration {
	d := min(base, limit)
	if rounds := p.attempts / max(profiles, 1); rounds > slowAfter {
		shift := min(rounds-slowAfter, 15)
		d = base << shift
	}
	d = max(d, p.backoff)
	p.backoff = 0
	return min(d, limit)
}

// exhausted reports whether limit rounds through the profiles were unsuccessful. A limit of 0 never ends.
func (p *pauses) exhausted(limit, profiles int) bool {
	return limit > 0 && p.attempts >= limit*max(profiles, 1)
}
