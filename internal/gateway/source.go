package gateway

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/policy"
)

// Source is where a node's configuration comes from: read at the start, and again when one of its files has changed.
type Source struct {
	File    string   // applied first; empty: none
	Environ []string // name=value pairs, applied over the file

	base *config.Config // what holds where neither says otherwise; nil: the defaults
}

// Load reads the configuration as it stands now. The error names every fault.
func (s *Source) Load() (config.Config, []config.Warning, error) {
	source := config.Source{Base: s.base, Name: s.File, Environ: s.Environ, Rules: policy.Check}
	if s.File != "" {
		content, err := os.ReadFile(s.File)
		if err != nil {
			return config.Config{}, nil, fmt.Errorf("config: %w", err)
		}
		source.File = content
	}
	return config.Load(source)
}

// files are those whose content the configuration depends on, besides what it names itself.
func (s *Source) files() []string {
	var files []string
	if s.File != "" {
		files = append(files, s.File)
	}
	for _, variable := range s.Environ {
		name, value, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, "CARILLON_") && strings.HasSuffix(name, "_FILE") && value != "" {
			files = append(files, value)
		}
	}
	return files
}

// digest identifies the content of files; that one is not there is content too. That one cannot be read, for lack of
// descriptors say, tells nothing of its content, and is an error.
func digest(files []string) ([sha256.Size]byte, error) {
	h := sha256.New()
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return [sha256.Size]byte{}, err
		}
		fmt.Fprintf(h, "%q %t %d\n", name, err == nil, len(content))
		h.Write(content)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}
