package server

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/internal/bounded"
)

// defaultFile is for clients that have no file of their own.
const defaultFile = "DEFAULT"

// fileName is the name of the file for a client in a folder: '/' becomes '_', as with stock. It is "" for names that no
// file can have, which are "", "." and "..", and for that of the default file, which is no client's own.
func fileName(commonName string) string {
	switch commonName {
	case ".", "..", defaultFile:
		return ""
	}
	return strings.ReplaceAll(commonName, "/", "_")
}

// ccdPath is the path of a file in the folder, as stock writes it in the log.
func ccdPath(dir, name string) string { return dir + string(filepath.Separator) + name }

// maxCCD bounds the file of a client, in bytes.
const maxCCD = 16 << 20

// findCCD reads the file of a client in the folder of client-config-dir, else the default one unless exclusive. path
// is "" when there is none. A file that may be there and cannot be read is an error, as is a folder that is missing: it
// could hold a "disable".
func findCCD(dir, commonName string, exclusive bool) (path string, text []byte, err error) {
	names := []string{fileName(commonName), defaultFile}
	if exclusive {
		names = names[:1]
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		path := ccdPath(dir, name)
		text, err := bounded.ReadNow(path, maxCCD)
		if err == nil {
			return path, text, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", nil, err
		}
	}
	if _, err := os.Stat(dir); err != nil {
		return "", nil, err
	}
	return "", nil, nil
}
