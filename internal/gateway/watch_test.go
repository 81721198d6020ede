package gateway

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatch_WaitsUntilAFileStaysAsItIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		file, beside := filepath.Join(dir, "a"), filepath.Join(dir, "b")
		write := func(name, text string) {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(file, "one")
		write(beside, "one")
		ctx, cancel := context.WithCancel(t.Context())
		var changes atomic.Int64
		var unreadable atomic.Bool
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			watch(ctx, func() []string { return []string{file, beside} }, func() error {
				changes.Add(1)
				if unreadable.Load() {
					return errUnreadable
				}
				return nil
			})
		}()
		after := func(intervals, want int, what string) {
			t.Helper()
			time.Sleep(time.Duration(intervals) * watchInterval)
			synctest.Wait()
			if n := int(changes.Load()); n != want {
				t.Fatalf("%s: %d changes, want %d", what, n, want)
			}
		}
		synctest.Wait()
		after(5, 0, "nothing happened")
		write(file, "")
		after(1, 0, "half written")
		write(file, "two")
		after(1, 0, "just written")
		after(1, 1, "written")
		after(5, 1, "nothing more happened")
		write(file+".new", "three")
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
		after(2, 2, "replaced")
		write(file, "three")
		after(2, 2, "written again as it was")
		write(beside, "two")
		after(2, 3, "the other file")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		after(5, 4, "removed, which is reported once")
		if err := os.Mkdir(file, 0o700); err != nil {
			t.Fatal(err)
		}
		after(5, 4, "cannot be read")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		after(5, 4, "as it was before")
		write(file, "four")
		unreadable.Store(true)
		after(4, 7, "could not be read again by the callback")
		unreadable.Store(false)
		after(5, 8, "and then it could")
		cancel()
		<-ended
	})
}

func TestSource_FilesAreThoseTheConfigurationDependsOn(t *testing.T) {
	t.Parallel()
	s := Source{File: "carillon.yaml", Environ: []string{
		"CARILLON_REDIS_PASSWORD_FILE=/run/secret", "CARILLON_LOG_LEVEL=info", "CARILLON_PEER_SECRET_FILE=", "OTHER_FILE=x",
	}}
	if files := s.files(); len(files) != 2 || files[0] != "carillon.yaml" || files[1] != "/run/secret" {
		t.Errorf("files: %q", files)
	}
	if files := (&Source{}).files(); len(files) != 0 {
		t.Errorf("files of nothing: %q", files)
	}
}
