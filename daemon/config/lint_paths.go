package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moongate-vpn/moongate/mgmt/lexer"
)

// maxSocketPath is the longest path of a unix socket, in bytes.
const maxSocketPath = 107

// lookAtPaths tells what stands where a file, a folder or a program has to be, as far as the checks of a start pass it over.
func lookAtPaths(o *Options) (found []Problem) {
	tell := func(warning bool, option, path, format string, args ...any) {
		found = append(found, Problem{Option: option, Word: path, Finding: Finding{Warning: warning, Rule: RuleFile, Text: option + " " + fmt.Sprintf(format, args...)}})
	}
	for _, f := range []struct {
		option, path string
		ends         bool // a daemon that cannot write it does not start
	}{
		{"status", o.Status, true}, {"writepid", o.PIDFile, true}, {"log", o.Log, false}, {"log-append", o.Log, false}, {"replay-persist", o.ReplayPersist, true},
		{"ifconfig-pool-persist", o.PoolPersist, false},
	} {
		if f.path == "" {
			continue
		}
		if isDir(f.path) {
			tell(!f.ends, f.option, f.path, "%s: it is a folder, the name of a file is needed", f.path)
		} else if dir := filepath.Dir(f.path); !isDir(dir) {
			tell(!f.ends, f.option, f.path, "%s: there is no folder %s", f.path, dir)
		}
	}
	for _, m := range o.ManagementListen {
		switch dir := filepath.Dir(m.Unix); {
		case m.Unix == "":
		case len(m.Unix) > maxSocketPath:
			tell(false, "management", m.Unix, "%s: the path of a socket has at most %d bytes", m.Unix, maxSocketPath)
		case !isDir(dir):
			tell(false, "management", m.Unix, "%s: there is no folder %s", m.Unix, dir)
		case isDir(m.Unix):
			tell(false, "management", m.Unix, "%s: it is a folder, the name of a socket is needed", m.Unix)
		}
	}
	for option, command := range map[string]string{
		"up": o.Up, "down": o.Down, "route-up": o.RouteUp, "route-pre-down": o.RoutePreDown, "ipchange": o.IPChange, "tls-verify": o.TLSVerify,
		"auth-user-pass-verify": o.AuthUserPassVerify, "client-connect": o.ClientConnect, "client-disconnect": o.ClientDisconnect, "learn-address": o.LearnAddress,
		"client-crresponse": o.ClientCRResponse, "tls-crypt-v2-verify": o.TLSCryptV2Verify,
	} {
		words, err := lexer.Split(command, option)
		if err == nil && len(words) > 0 && isDir(words[0]) {
			tell(false, option, command, "%s: it is a folder, a program is needed", words[0])
		}
	}
	return found
}

func isDir(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.IsDir()
}

// advice says what to do about a file that the check of a start refuses with such a text.
func advice(text string) string {
	_, rest, _ := strings.Cut(text, failsWith)
	path, _, _ := strings.Cut(rest, "': ")
	fi, err := os.Stat(path)
	switch dir := filepath.Dir(path); {
	case errors.Is(err, fs.ErrNotExist) && !isDir(dir):
		return "; there is no folder " + dir
	case errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(path):
		here, _ := os.Getwd()
		return "; looked for in " + here
	case err != nil:
		return ""
	case strings.Contains(text, " script fails") && fi.Mode().IsRegular() && fi.Mode().Perm()&0o111 == 0:
		return "; `chmod +x " + path + "` makes it a program"
	case fi.Mode().IsRegular() && (strings.Contains(text, "directory") || strings.Contains(text, "-dir ") || strings.HasPrefix(text, "--tls-export-cert")):
		return "; it is a file, a folder is needed"
	}
	return ""
}
