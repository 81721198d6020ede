package config

import (
	"strconv"
	"strings"
)

// Fault is one thing wrong with a configuration.
type Fault struct {
	// Key is the path of the setting, such as engine.ping_timeout or namespaces["/chat"].rules[2].if.
	Key string
	// Line in the file; zero when the value did not come from a file.
	Line int
	// Variable that held the value; empty when it did not come from the environment.
	Variable string
	// Message says what is wrong and, where it helps, what would be right. It holds no secret.
	Message string
}

// String returns the fault as one line without the file's name.
func (f Fault) String() string { return f.in("") }

// in returns the fault as one line that begins with where it was found.
func (f Fault) in(file string) string {
	var where []string
	switch {
	case f.Variable != "":
		where = append(where, f.Variable)
	case f.Line > 0 && file != "":
		where = append(where, file+":"+strconv.Itoa(f.Line))
	case f.Line > 0:
		where = append(where, "line "+strconv.Itoa(f.Line))
	case file != "":
		where = append(where, file)
	}
	if f.Key != "" {
		where = append(where, f.Key)
	}
	return strings.Join(append(where, f.Message), ": ")
}

// Error is everything wrong with a configuration, in the order of the file.
type Error struct {
	// File is the name the faults' lines belong to; empty when there is none.
	File   string
	Faults []Fault
}

// Error returns one line per fault.
func (e *Error) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.in(e.File)
	}
	return strings.Join(lines, "\n")
}

// Warning is something that works otherwise than its author may think.
type Warning Fault

// String returns the warning as one line.
func (w Warning) String() string { return Fault(w).String() }

// In returns the warning as one line that begins with where in file it was found, as the lines of an Error do.
func (w Warning) In(file string) string { return Fault(w).in(file) }
