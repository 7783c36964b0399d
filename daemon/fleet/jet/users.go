//go:build !nofleet

package jet

import (
	"crypto/rand"
	"crypto/subtle"

	"github.com/nats-io/nats-server/v2/server"
)

// Users of a server.
const (
	userFleet  = "fleet"
	userSystem = "system"
)

// users are who may connect to a server. Their passwords are made for one run, and only this process knows them. They are no users of the
// server's own options: a server whose only users are of the system's account lets every other client in without a password.
type users map[string]*server.User

func newUsers() users {
	return users{
		userFleet:  {Username: userFleet, Password: rand.Text()},
		userSystem: {Username: userSystem, Password: rand.Text()}, // its account is the server's,
	}
}

// Check implements the server's Authentication.
func (u users) Check(c server.ClientAuthentication) bool {
	o := c.GetOpts()
	user := u[o.Username]
	if user == nil || subtle.ConstantTimeCompare([]byte(user.Password), []byte(o.Password)) != 1 {
		return false
	}
	c.RegisterUser(user)
	return true
}
