package config_test

import (
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/config"
)

func TestSize_ParsesAndPrintsTheShortestForm(t *testing.T) {
	for _, c := range []struct {
		text, printed string
		size          config.Size
	}{
		{"0", "0", 0},
		{"1", "1", 1},
		{"512B", "512", 512},
		{"1000", "1kB", 1000},
		{"1kB", "1kB", 1000},
		{"1KB", "1kB", 1000},
		{"4096", "4KiB", 4096},
		{"1 MB", "1MB", 1_000_000},
		{"1MB", "1MB", 1_000_000},
		{"1MiB", "1MiB", 1 << 20},
		{"1024KiB", "1MiB", 1 << 20},
		{"1001kB", "1001kB", 1_001_000},
		{"3GB", "3GB", 3_000_000_000},
		{"3GiB", "3GiB", 3 << 30},
	} {
		var got config.Size
		if err := got.UnmarshalText([]byte(c.text)); err != nil || got != c.size {
			t.Errorf("%s: got %d, %v", c.text, int64(got), err)
		}
		if got.String() != c.printed {
			t.Errorf("%s: printed %s, want %s", c.text, got, c.printed)
		}
	}
	for _, text := range []string{
		"", "MB", "-1", "1.5MB", "1mb", "1M", "1MBB", "1 2", "0x10", "9223372036854775807kB", "MB1",
	} {
		var got config.Size
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: got %d", text, int64(got))
		}
	}
}

func TestShare_IsAPartOfTheMemoryOrASize(t *testing.T) {
	for _, c := range []struct {
		text, printed string
		of1GB         int64
	}{
		{"25%", "25%", 250_000_000},
		{"100%", "100%", 1_000_000_000},
		{"0%", "0", 0},
		{"0", "0", 0},
		{"64MiB", "64MiB", 64 << 20},
	} {
		var got config.Share
		err := got.UnmarshalText([]byte(c.text))
		if err != nil || got.Of(1_000_000_000) != c.of1GB || got.String() != c.printed {
			t.Errorf("%s: got %s, %d of 1 GB, %v", c.text, got, got.Of(1_000_000_000), err)
		}
	}
	for _, text := range []string{"%", "101%", "-1%", "2.5%", "x"} {
		var got config.Share
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: got %s", text, got)
		}
	}
}

func TestRate_CountsPerSecondMinuteOrHour(t *testing.T) {
	for text, want := range map[string]config.Rate{
		"2/s": {Count: 2, Per: time.Second}, "30/m": {Count: 30, Per: time.Minute}, "1/h": {Count: 1, Per: time.Hour},
	} {
		var got config.Rate
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want || got.String() != text {
			t.Errorf("%s: got %+v (%s), %v", text, got, got, err)
		}
	}
	for _, text := range []string{"", "2", "/s", "2/", "-1/s", "0/s", "2/ms", "2/s/s", "99999999999/s", "1.5/s"} {
		var got config.Rate
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: got %+v", text, got)
		}
	}
}
