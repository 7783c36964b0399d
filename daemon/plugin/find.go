package plugin

import (
	"fmt"
	"os"
	"path/filepath"
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

// Missing tells what is not there of what plugins need: the helper program, and the plugins themselves. It runs none of them.
func Missing(plugins []Spec) (missing []error) {
	if len(plugins) == 0 {
		return nil
	}
	if _, err := helper(); err != nil {
		missing = append(missing, err)
	}
	for _, p := range plugins {
		if strings.ContainsRune(p.Name, '/') && !filepath.IsAbs(p.Name) {
			continue // where the option cd leads is not known here
		}
		if _, err := os.Stat(resolve(p.Name)); err != nil {
			missing = append(missing, fmt.Errorf("--plugin: %w", err))
		}
	}
	return missing
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
