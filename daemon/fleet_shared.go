package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/fleet"
	"github.com/moongate-vpn/moongate/mgmt"
)

// Shared implements server.FleetController.
func (f fleetController) Shared() string {
	b, err := json.Marshal(f.member.Shared())
	if err != nil {
		return "{}"
	}
	return string(b)
}

// SetFile implements server.FleetController. The lines are read as those of a client's file would be at a login.
func (f fleetController) SetFile(name string, lines []string) (string, error) {
	text := strings.Join(lines, "\n") + "\n"
	f.p.reloads.mu.Lock()
	o := f.p.reloads.inForce
	f.p.reloads.mu.Unlock()
	if o == nil {
		return "", errors.New("no server is running")
	}
	var wrong []error
	for _, e := range o.ParseClientConfig(o.NewClientConfig(), "fleet:"+name, []byte(text)) {
		wrong = append(wrong, fmt.Errorf("line %d: %w", e.Line, e))
	}
	if len(wrong) > 0 {
		return "", errors.Join(wrong...)
	}
	return f.toAll("file", func(ctx context.Context) error {
		return f.member.SetFile(ctx, fleet.File{Name: name, Text: text, By: f.node.Name()})
	})
}

// RemoveFile implements server.FleetController.
func (f fleetController) RemoveFile(name string) (string, error) {
	return f.away("file", func(ctx context.Context) error { return f.member.RemoveFile(ctx, name) })
}

// Revoke implements server.FleetController.
func (f fleetController) Revoke(serial, reason string) (string, error) {
	n, err := serialNumber(serial)
	if err != nil {
		return "", err
	}
	return f.toAll("revocation", func(ctx context.Context) error {
		return f.member.Revoke(ctx, fleet.Revocation{Serial: n, Reason: reason, By: f.node.Name()})
	})
}

// Unrevoke implements server.FleetController.
func (f fleetController) Unrevoke(serial string) (string, error) {
	n, err := serialNumber(serial)
	if err != nil {
		return "", err
	}
	return f.away("revocation", func(ctx context.Context) error { return f.member.Unrevoke(ctx, n) })
}

// serialNumber is a serial number in decimal digits: it is written so, with 0x in front, or as bytes with colons between, as tools print it.
func serialNumber(text string) (string, error) {
	n, ok := new(big.Int), false
	switch hex, is := strings.CutPrefix(strings.ToLower(text), "0x"); {
	case is:
		_, ok = n.SetString(hex, 16)
	case strings.Contains(text, ":"):
		_, ok = n.SetString(strings.ReplaceAll(text, ":", ""), 16)
	default:
		_, ok = n.SetString(text, 10)
	}
	if !ok || n.Sign() < 0 || n.BitLen() > 160 {
		return "", fmt.Errorf("%q is no serial number: want decimal digits, 0x and hexadecimal ones, or bytes with colons between", text)
	}
	return n.String(), nil
}

// toAll says what became of a record for all nodes.
func (f fleetController) toAll(what string, tell func(ctx context.Context) error) (string, error) {
	ctx, cancel := context.WithTimeout(f.p.ctx, orderPatience)
	defer cancel()
	switch err := tell(ctx); {
	case errors.Is(err, fleet.ErrLater):
		return what + " in force at this node; " + mgmt.FleetLater, nil
	case err != nil:
		return "", err
	}
	return what + " written for all nodes", nil
}

// away says what became of taking a record away.
func (f fleetController) away(what string, take func(ctx context.Context) error) (string, error) {
	ctx, cancel := context.WithTimeout(f.p.ctx, orderPatience)
	defer cancel()
	switch err := take(ctx); {
	case errors.Is(err, fleet.ErrNotFound):
		return "", fmt.Errorf("there is no such %s", what)
	case errors.Is(err, fleet.ErrLater):
		return what + " taken away at this node; " + mgmt.FleetLater, nil
	case err != nil:
		return "", err
	}
	return what + " taken away at all nodes", nil
}
