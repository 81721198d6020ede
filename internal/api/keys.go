package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"

	"github.com/carillon-io/carillon/internal/config"
)

// maxKeyFile bounds a file of keys.
const maxKeyFile = 1 << 20

// digest stands for a key: keys are compared, and their uses are told apart, without being kept.
type digest [sha256.Size]byte

// Keys are those that requests may carry. They are safe for concurrent use.
type Keys struct{ accepted atomic.Pointer[[]digest] }

// NewKeys reads the keys of a configuration. The error names the entry and shows no key.
func NewKeys(entries []config.Secret) (*Keys, error) {
	k := &Keys{}
	replace, err := k.Prepare(entries)
	if err != nil {
		return nil, err
	}
	replace()
	return k, nil
}

// Prepare reads keys that are to replace those in force. What it returns does so.
func (k *Keys) Prepare(entries []config.Secret) (replace func(), err error) {
	var accepted []digest
	for i, entry := range entries {
		keys, err := keysOf(string(entry))
		if err != nil {
			return nil, fmt.Errorf("api.keys[%d]: %w", i, err)
		}
		for _, key := range keys {
			accepted = append(accepted, sha256.Sum256([]byte(key)))
		}
	}
	return func() { k.accepted.Store(&accepted) }, nil
}

// isFile reports whether an entry names a file of keys.
func isFile(entry string) bool {
	for _, prefix := range []string{"/", "./", "../"} {
		if strings.HasPrefix(entry, prefix) {
			return true
		}
	}
	return false
}

// KeyFiles are the files that the entries of a configuration name.
func KeyFiles(entries []config.Secret) []string {
	var files []string
	for _, entry := range entries {
		if isFile(string(entry)) {
			files = append(files, string(entry))
		}
	}
	return files
}

// keysOf are the keys of one entry: its lines, or those of the file that it names.
func keysOf(entry string) ([]string, error) {
	text := entry
	if isFile(entry) {
		content, err := readKeyFile(entry)
		if err != nil {
			return nil, err
		}
		text = content
	}
	var keys []string
	for line := range strings.Lines(text) {
		key := strings.TrimSpace(line)
		switch {
		case key == "":
		case !isVisible(key):
			return nil, errors.New("holds a key with white space or characters outside ASCII, which a header cannot carry")
		default:
			keys = append(keys, key)
		}
	}
	switch {
	case len(keys) == 0:
		return nil, errors.New("holds no key")
	case len(keys) == 1 && !isFile(entry) && namesFile(keys[0]):
		return nil, fmt.Errorf("is the name of a file here; write it as ./%s", keys[0])
	}
	return keys, nil
}

// FirstKey is the first key of the entries of a configuration, for a client of the API.
func FirstKey(entries []config.Secret) (string, error) {
	if len(entries) == 0 {
		return "", errors.New("there are no keys")
	}
	keys, err := keysOf(string(entries[0]))
	if err != nil {
		return "", err
	}
	return keys[0], nil
}

func readKeyFile(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if info.Size() > maxKeyFile {
		return "", fmt.Errorf("%s is larger than %d bytes", name, maxKeyFile)
	}
	content, err := os.ReadFile(name)
	return string(content), err
}

// namesFile reports whether a text meant as a key is the name of a file that is there: a caller that knows the name could log in with it.
func namesFile(text string) bool {
	info, err := os.Stat(text)
	return err == nil && info.Mode()&fs.ModeType == 0
}

func isVisible(text string) bool {
	for _, c := range []byte(text) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

// find returns the digest of the key in an Authorization header, when it is an accepted one. It takes the same time
// whichever key it is, and whether it is one.
func (k *Keys) find(header string) (digest, bool) {
	scheme, key, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return digest{}, false
	}
	got := digest(sha256.Sum256([]byte(strings.TrimSpace(key))))
	found := 0
	for _, want := range *k.accepted.Load() {
		found |= subtle.ConstantTimeCompare(got[:], want[:])
	}
	return got, found == 1
}
