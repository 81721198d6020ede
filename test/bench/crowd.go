package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// crowd is generators whose clients stay connected, and note messages, until they are interrupted.
type crowd struct {
	generators []*holder
	connected  int // clients of all
}

// holder is one generator.
type holder struct {
	cmd *exec.Cmd
	out bytes.Buffer // read once the process has ended
	log *bufio.Reader
}

// join starts a generator with n clients and returns once all are connected.
func (c *crowd) join(ctx context.Context, b *bench, url string, n int) error {
	args := b.generator("connect", "--url", url, "--clients", strconv.Itoa(n), "--hold", "1h", "--output", "json", "--ramp-timeout", "90s", "--retries", "10")
	h := &holder{cmd: exec.CommandContext(ctx, args[0], args[1:]...)}
	h.cmd.Stdout = &h.out
	log, err := h.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := h.cmd.Start(); err != nil {
		return err
	}
	h.log = bufio.NewReader(log)
	for {
		line, err := h.log.ReadString('\n')
		switch {
		case strings.Contains(line, "connections idle"):
			c.generators = append(c.generators, h)
			c.connected += n
			return nil
		case err != nil:
			return errors.Join(fmt.Errorf("the generator ended: %s", line), h.cmd.Wait())
		}
	}
}

func (c *crowd) pids() (pids []int) {
	for _, h := range c.generators {
		pids = append(pids, h.cmd.Process.Pid)
	}
	return pids
}

// wait ends what is still running.
func (c *crowd) wait() {
	for _, h := range c.generators {
		if h.cmd.ProcessState == nil {
			_ = h.cmd.Process.Kill()
			_ = h.cmd.Wait() // it was killed
		}
	}
}

// report ends the generators and notes what they received of the one message.
func (c *crowd) report(values map[string]float64, published time.Time) error {
	for _, h := range c.generators {
		if err := h.cmd.Process.Signal(syscall.SIGINT); err != nil {
			return err
		}
	}
	var received, gone, last float64
	for _, h := range c.generators {
		_, _ = io.Copy(io.Discard, h.log)
		_ = h.cmd.Wait() // it was interrupted, which is an error
		var answer struct {
			Received float64 `json:"received"`
			Last     float64 `json:"last_received_unix_s"`
			Gone     float64 `json:"hold_disconnects"`
		}
		if err := json.Unmarshal(h.out.Bytes(), &answer); err != nil {
			return fmt.Errorf("gateway bench: %w: %s", err, h.out.Bytes())
		}
		received, gone, last = received+answer.Received, gone+answer.Gone, max(last, answer.Last)
	}
	values["broadcast_received"], values["hold_disconnects"] = received, gone
	values["broadcast_lost"] = float64(c.connected) - received
	values["broadcast_s"] = last - float64(published.UnixNano())/1e9
	return nil
}
