package chart

import (
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"testing"
)

// The test cache goes by what a test opens, and does not see what helm and kustomize read: a walk shows it every folder.
func TestMain(m *testing.M) {
	for _, dir := range []string{"helm", "deploy/k8s", "tools", "test/chart/schemas"} {
		seen := func(_ string, _ fs.DirEntry, err error) error { return err }
		if err := filepath.WalkDir(filepath.Join(root, dir), seen); err != nil {
			log.Fatal(err)
		}
	}
	os.Exit(m.Run())
}
