package gateway

import "github.com/carillon-io/carillon/internal/config"

// Check finds what is wrong with a configuration beyond its form: rules that do not compile, files that are not there.
func Check(cfg config.Config) error {
	g, err := New(Options{Config: cfg})
	if err != nil {
		return err
	}
	return g.close()
}
