package client

import (
	"encoding/base64"
	"strings"
)

// challenge is a server's dynamic challenge, from the reason of AUTH_FAILED.
//
//	CRV1:flags:state id:base64(user name):text        flags: R response required, E echo
type challenge struct {
	state string
	user  string
	text  string
	echo  bool
	need  bool
}

// dynamicChallenge parses the reason of a refusal. It returns nil for anything but a well-formed challenge.
func dynamicChallenge(reason string) *challenge {
	f := strings.SplitN(reason, ":", 5)
	if len(f) != 5 || f[0] != "CRV1" {
		return nil
	}
	user, err := base64.StdEncoding.DecodeString(f[3])
	if err != nil {
		return nil
	}
	c := &challenge{state: f[2], user: string(user), text: f[4]}
	for flag := range strings.SplitSeq(f[1], ",") {
		switch flag {
		case "R":
			c.need = true
		case "E":
			c.echo = true
		}
	}
	return c
}

// answer is the password that carries the response.
func (c *challenge) answer(response string) string { return "CRV1::" + c.state + "::" + response }

// staticAnswer is the password field of a login with a static challenge.
func staticAnswer(password, response string) string {
	e := base64.StdEncoding.EncodeToString
	return "SCRV1:" + e([]byte(password)) + ":" + e([]byte(response))
}
