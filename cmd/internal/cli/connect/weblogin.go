package connect

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
)

// sso lists the ways to log in that connect knows besides names and passwords (IV_SSO).
const sso = "webauth,openurl,crtext"

// message acts on a server's text: a login in the browser, or a question within a login.
//
//	WEB_AUTH:FLAGS:URL     OPEN_URL:URL     CR_TEXT:FLAGS:TEXT
func (s *session) message(ctx context.Context, text string) error {
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "WEB_AUTH", "OPEN_URL", "CR_TEXT":
	default:
		return nil
	}
	if !s.texts.Allow() {
		s.once("the server sends more pages and questions than are shown; the rest is left out")
		return nil
	}
	switch kind {
	case "WEB_AUTH":
		_, page, _ := strings.Cut(rest, ":")
		return s.page(ctx, page)
	case "OPEN_URL":
		return s.page(ctx, rest)
	case "CR_TEXT":
		flags, question, _ := strings.Cut(rest, ":")
		echo, wants := false, false
		for f := range strings.SplitSeq(flags, ",") {
			echo, wants = echo || f == "E", wants || f == "R"
		}
		if !wants {
			s.say("%s", question)
			return nil
		}
		answer, err := s.ask(ctx, env.Clean(question)+": ", echo)
		if err != nil {
			return err
		}
		return s.send(ctx, "cr-response", base64.StdEncoding.EncodeToString([]byte(answer)))
	}
	return nil
}

// Texts of a server that are acted on: textsAtOnce, which come back one in each textPause.
const (
	textsAtOnce = 10
	textPause   = 5 * time.Second
)

// newTexts bounds what a server's texts open, show and ask.
func newTexts() *rate.Limiter { return rate.NewLimiter(rate.Every(textPause), textsAtOnce) }

// page opens a page, or shows where it is.
func (s *session) page(ctx context.Context, address string) error {
	page, err := webPage(address)
	if err != nil {
		return cause{text: err.Error(), kind: errRefused}
	}
	if s.o.browser == "open" && open(ctx, s.e.Getenv, page) {
		s.say("log in at the page that opens in the browser: %s", page)
		return nil
	}
	s.say("log in at this page, with any device: %s", page)
	fmt.Fprint(s.e.Err, code(page, s.e.Width))
	return nil
}
