//go:build linux

package load

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// effort is what processes have asked of the kernel since they began, all their threads together.
type effort struct {
	wakeups float64 // threads that had waited; those that have ended are not in it
	reads   float64 // system calls, by /proc/PID/io: what receives by recvmsg is not in it
	writes  float64 // as many
}

func effortOf(pids []int) (e effort) {
	for _, pid := range pids {
		process := filepath.Join("/proc", strconv.Itoa(pid))
		io := filepath.Join(process, "io")
		e.reads += number(io, "syscr")
		e.writes += number(io, "syscw")
		threads, _ := filepath.Glob(filepath.Join(process, "task", "*", "status")) // the pattern is well-formed
		for _, status := range threads {
			e.wakeups += number(status, "voluntary_ctxt_switches")
		}
	}
	return e
}

// number is a value in a file of lines with a name, a colon and a value; 0 where there is none.
func number(file, name string) float64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if key, value, _ := strings.Cut(line, ":"); key == name {
			n, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return n
		}
	}
	return 0
}

// putEffort reports how much a second lies between two.
func putEffort(r Result, who string, a, b effort, seconds float64) {
	r[who+"_wakeups_s"] = rounded((b.wakeups - a.wakeups) / seconds)
	r[who+"_reads_s"] = rounded((b.reads - a.reads) / seconds)
	r[who+"_writes_s"] = rounded((b.writes - a.writes) / seconds)
}
