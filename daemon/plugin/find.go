package plugin

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// HelperVariable names a helper for tests and for installations in odd places.
const HelperVariable = "MOONGATE_PLUGIN_HELPER"

const helperName = "moongate-plugin"

// helper is the path of the helper program.
func helper() (string, error) {
	if path := os.Getenv(HelperVariable); path != "" {
		return path, nil
	}
	var dirs []string
	if exe, err := os.Executable(); err == nil {
		dir := filepath.Dir(exe)
		dirs = append(dirs, dir, filepath.Join(filepath.Dir(dir), "lib", "moongate"))
	}
	dirs = append(dirs, "/usr/lib/moongate", "/usr/local/lib/moongate")
	for _, dir := range dirs {
		path := filepath.Join(dir, helperName)
		if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("plugins need the helper program %s, which is not installed: install it with moongate's package, or run `make install` where there is a C compiler; looked in %s",
		helperName, strings.Join(dirs, ", "))
}

// Lack is something that plugins need.
type Lack struct {
	Plugin string // as the option names it
	Err    error
}

// Missing tells what is not there, or is something else, of what plugins need: the helper program, and the plugins themselves. It runs none of them.
func Missing(plugins []Spec) (missing []Lack) {
	if len(plugins) == 0 {
		return nil
	}
	if _, err := helper(); err != nil {
		missing = append(missing, Lack{plugins[0].Name, err})
	}
	for _, p := range plugins {
		if err := isObject(resolve(p.Name)); err != nil {
			missing = append(missing, Lack{p.Name, fmt.Errorf("--plugin: %w", err)})
		}
	}
	return missing
}

// isObject looks whether a file can be a shared object.
func isObject(path string) error {
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case !fi.Mode().IsRegular():
		return fmt.Errorf("%s is no file", path)
	case runtime.GOOS != "linux":
		return nil
	}
	f, err := elf.Open(path)
	var format *elf.FormatError
	if errors.As(err, &format) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%s is no shared object", path)
	}
	if err == nil {
		f.Close()
	}
	return nil // what cannot be read now, the user that loads it may read
}

// folders are where systems keep plugins that a configuration names without a path.
var folders = []string{
	"/usr/lib/*-linux-*/openvpn/plugins", "/usr/lib64/openvpn/plugins", "/usr/lib/openvpn/plugins", "/usr/lib/openvpn",
	"/usr/local/lib/openvpn/plugins",
}

// resolve is the path of a plugin. One that is nowhere keeps its name with the first folder, for the error message.
func resolve(name string) string {
	if strings.ContainsRune(name, '/') {
		if abs, err := filepath.Abs(name); err == nil {
			return abs
		}
		return name
	}
	first := name
	for _, pattern := range folders {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		for _, dir := range dirs {
			path := filepath.Join(dir, name)
			if _, err := os.Stat(path); err == nil {
				return path
			}
			if first == name {
				first = path
			}
		}
	}
	return first
}
