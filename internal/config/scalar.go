package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written as 1000000, 1MB or 1MiB.
type Size int64

// The sizes with a name of their own.
const (
	Kilobyte Size = 1000
	Megabyte Size = 1000 * Kilobyte
	Gigabyte Size = 1000 * Megabyte
	Kibibyte Size = 1024
	Mebibyte Size = 1024 * Kibibyte
	Gibibyte Size = 1024 * Mebibyte
)

// sizeUnits are the units a Size may be written with.
var sizeUnits = []struct {
	name string
	size Size
}{
	{"GiB", Gibibyte}, {"GB", Gigabyte}, {"MiB", Mebibyte}, {"MB", Megabyte}, {"KiB", Kibibyte}, {"kB", Kilobyte},
}

var errSize = errors.New("is not a size such as 1MB, 1MiB or 1000000 (units: B, kB, MB, GB, KiB, MiB, GiB)")

// UnmarshalText parses a whole number with or without a unit.
func (s *Size) UnmarshalText(text []byte) error {
	digits := strings.TrimRight(string(text), "BKMGki ")
	unit := Size(1)
	if name := strings.TrimSpace(string(text[len(digits):])); name != "" && name != "B" {
		unit = 0
		for _, u := range sizeUnits {
			if u.name == name || u.size == Kilobyte && name == "KB" {
				unit = u.size
			}
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || unit == 0 || n < 0 {
		return errSize
	}
	if n > math.MaxInt64/int64(unit) {
		return errors.New("is too large")
	}
	*s = Size(n) * unit
	return nil
}

// MarshalText returns the shortest exact spelling.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String returns the shortest exact spelling.
func (s Size) String() string {
	best := strconv.FormatInt(int64(s), 10)
	for _, u := range sizeUnits {
		if s == 0 || s%u.size != 0 {
			continue
		}
		if text := strconv.FormatInt(int64(s/u.size), 10) + u.name; len(text) <= len(best) {
			best = text
		}
	}
	return best
}

// Share is a part of the process's memory: a percentage of what it may use, or a number of bytes.
type Share struct {
	// Percent counts when it is above zero, Bytes otherwise.
	Percent int
	Bytes   Size
}

// Of returns the share in bytes for a process that may use memory bytes; zero means no limit.
func (s Share) Of(memory int64) int64 {
	if s.Percent > 0 {
		return memory / 100 * int64(s.Percent)
	}
	return int64(s.Bytes)
}

// UnmarshalText parses a whole percentage such as 25%, or a Size.
func (s *Share) UnmarshalText(text []byte) error {
	digits, percent := strings.CutSuffix(string(text), "%")
	if !percent {
		var size Size
		if err := size.UnmarshalText(text); err != nil {
			return fmt.Errorf("is no percentage such as 25%% and %w", err)
		}
		*s = Share{Bytes: size}
		return nil
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n > 100 {
		return errors.New("is not a percentage from 0% to 100%")
	}
	*s = Share{Percent: n}
	return nil
}

// MarshalText returns what UnmarshalText accepts.
func (s Share) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String returns what UnmarshalText accepts.
func (s Share) String() string {
	if s.Percent > 0 {
		return strconv.Itoa(s.Percent) + "%"
	}
	return s.Bytes.String()
}

// Rate is a number of events in a second, a minute or an hour, written as 2/s. The zero Rate means no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

// rateUnits are the letters behind the slash of a Rate.
var rateUnits = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}

// UnmarshalText parses forms such as 2/s, 30/m and 100/h.
func (r *Rate) UnmarshalText(text []byte) error {
	count, unit, _ := strings.Cut(string(text), "/")
	n, err := strconv.ParseInt(count, 10, 32)
	per, known := rateUnits[unit]
	if err != nil || n <= 0 || !known {
		return errors.New("is not a rate such as 2/s, 30/m or 100/h")
	}
	*r = Rate{Count: int(n), Per: per}
	return nil
}

// MarshalText returns what UnmarshalText accepts; nothing for no limit.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String returns what UnmarshalText accepts; nothing for no limit.
func (r Rate) String() string {
	for unit, per := range rateUnits {
		if per == r.Per {
			return strconv.Itoa(r.Count) + "/" + unit
		}
	}
	return ""
}

// formatDuration spells d without the zero parts that Duration.String adds: 2m, not 2m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
