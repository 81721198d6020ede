//go:build linux

package load

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// processExists reports whether there is a process pid. What kill takes for a group of processes, or for all of them, is none.
func processExists(pid int) bool {
	return pid > 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// ResidentBytes is the memory of processes in bytes, their resident sets. One that has ended has none.
func ResidentBytes(pids []int) int64 {
	var t int64
	for _, p := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p))
		if err != nil {
			continue
		}
		f := strings.Fields(string(b))
		if len(f) > 1 {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			t += n * int64(os.Getpagesize())
		}
	}
	return t
}

// CPUSeconds is the user and system time of processes, and the system part of it alone. One that has ended has none.
func CPUSeconds(pids []int) (t, sys float64) {
	for _, p := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			continue
		}
		s := string(b)
		f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
		if len(f) > 12 {
			u, _ := strconv.ParseFloat(f[11], 64)
			k, _ := strconv.ParseFloat(f[12], 64)
			t += (u + k) / 100
			sys += k / 100
		}
	}
	return
}

// parseCPUs reads a list such as 0-1,4. What is no number is left out.
func parseCPUs(list string) map[int]bool {
	cpus := map[int]bool{}
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, noFirst := strconv.Atoi(from)
		last, noLast := strconv.Atoi(to)
		const most = 4096
		for i := first; noFirst == nil && noLast == nil && i <= min(last, most); i++ {
			cpus[i] = true
		}
	}
	return cpus
}

// coreBusy returns the busy seconds (user, nice, system, irq, softirq) of some cores, of all for nil, and the stolen ones.
func coreBusy(cpus map[int]bool) (busy, steal float64) {
	b, _ := os.ReadFile("/proc/stat")
	for _, l := range strings.Split(string(b), "\n") {
		f := strings.Fields(l)
		if len(f) < 9 || !strings.HasPrefix(f[0], "cpu") || f[0] == "cpu" {
			continue
		}
		n, err := strconv.Atoi(f[0][3:])
		if err != nil || cpus != nil && !cpus[n] {
			continue
		}
		g := func(i int) float64 { v, _ := strconv.ParseFloat(f[i], 64); return v / 100 }
		busy += g(1) + g(2) + g(3) + g(6) + g(7)
		steal += g(8)
	}
	return
}

func selfCPU() float64 {
	var ru syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &ru)
	return float64(ru.Utime.Sec+ru.Stime.Sec) + float64(ru.Utime.Usec+ru.Stime.Usec)/1e6
}

// sample is the state of every account of processor time at one moment.
type sample struct {
	at                 int64
	server, system     float64 // of the server's processes, and the kernel's part of it
	aux, self          float64
	busy, steal, every float64 // of the server's cores, and of all cores
	ours, auxiliary    effort  // of the server's processes, and of Redis
}

func (g *generator) sample() sample {
	s := sample{at: now(), self: selfCPU()}
	s.server, s.system = CPUSeconds(g.o.PIDs)
	s.aux, _ = CPUSeconds(g.o.AuxPIDs)
	if len(g.cpus) > 0 {
		s.busy, s.steal = coreBusy(g.cpus)
	}
	s.every, _ = coreBusy(nil)
	s.ours, s.auxiliary = effortOf(g.o.PIDs), effortOf(g.o.AuxPIDs)
	return s
}

// putCPU reports what happened between two samples, in which there were so many deliveries or requests.
func (g *generator) putCPU(r Result, a, b sample, units float64) {
	seconds := float64(b.at-a.at) / 1e9
	perMillion := func(x float64) float64 { return rounded(x / units * 1e6) }
	if len(g.o.PIDs) > 0 {
		r["server_cpu_s"] = rounded(b.server - a.server)
		r["server_cores"] = rounded((b.server - a.server) / seconds)
		putEffort(r, "server", a.ours, b.ours, seconds)
		r["cpu_s_per_M"] = perMillion(b.server - a.server)
		r["sys_s_per_M"] = perMillion(b.system - a.system)
		own := b.server - a.server + b.aux - a.aux + b.self - a.self
		r["foreign_cores"] = rounded(max(0, (b.every-a.every-own)/seconds))
	}
	if len(g.o.AuxPIDs) > 0 {
		putEffort(r, "aux", a.auxiliary, b.auxiliary, seconds)
		r["aux_cpu_s"] = rounded(b.aux - a.aux)
		r["cpu_s_per_M_incl_aux"] = perMillion(b.server - a.server + b.aux - a.aux)
	}
	if len(g.cpus) > 0 {
		r["server_cores_busy_s_per_M"] = perMillion(b.busy - a.busy)
		r["steal_cores"] = rounded((b.steal - a.steal) / seconds)
	}
	r["gen_cores"] = rounded((b.self - a.self) / seconds)
	r["gen_cpu_s_per_M"] = perMillion(b.self - a.self)
	const busy = .93
	usable := min(len(g.workers), runtime.NumCPU()) // of which there may be fewer than threads
	r["generator_limited"] = (b.self-a.self)/seconds > busy*float64(usable)
}
