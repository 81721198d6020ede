package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// order is what a process with clients is asked to do.
type order struct {
	Do        string   `json:"do"`
	Clients   int      `json:"clients,omitempty"`
	Addresses []string `json:"addresses,omitempty"` // of nodes, in turn
	Sent      int      `json:"sent,omitempty"`      // how many events there have been
}

// result is what became of it.
type result struct {
	Recovered, Fresh, Failed, Retries int
	Whole, Lost, Twice                int
	Waits                             []time.Duration
	Error                             string
}

func add(results []result) (sum result) {
	for _, r := range results {
		sum.Recovered, sum.Fresh, sum.Failed, sum.Retries = sum.Recovered+r.Recovered, sum.Fresh+r.Fresh, sum.Failed+r.Failed, sum.Retries+r.Retries
		sum.Whole, sum.Lost, sum.Twice = sum.Whole+r.Whole, sum.Lost+r.Lost, sum.Twice+r.Twice
		sum.Waits = append(sum.Waits, r.Waits...)
	}
	return sum
}

// worker is a process with some of the clients: one process may not have descriptors enough for all.
type worker struct {
	cmd     *exec.Cmd
	orders  io.WriteCloser
	results *json.Decoder
}

func startWorker(clients int) (*worker, error) {
	w := &worker{cmd: exec.Command(os.Args[0], "-worker")}
	w.cmd.Stderr = os.Stderr
	var err error
	if w.orders, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	w.results = json.NewDecoder(out)
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	_, err = w.ask(order{Do: "make", Clients: clients})
	return w, err
}

func (w *worker) ask(o order) (r result, err error) {
	if err := json.NewEncoder(w.orders).Encode(o); err != nil {
		return r, err
	}
	if err := w.results.Decode(&r); err != nil {
		return r, err
	}
	if r.Error != "" {
		err = fmt.Errorf("clients: %s: %s", o.Do, r.Error)
	}
	return r, err
}

func (w *worker) stop() {
	_ = w.orders.Close() // it ends with its input
	_ = w.cmd.Wait()     // what it could say has been read
}

// work does what is asked for.
func work(orders io.Reader, results io.Writer) error {
	var clients []*client
	lines := json.NewDecoder(bufio.NewReader(orders))
	for {
		var o order
		if err := lines.Decode(&o); err != nil {
			return nil
		}
		if o.Do == "make" {
			for i := range o.Clients {
				clients = append(clients, &client{number: i})
			}
		}
		if err := json.NewEncoder(results).Encode(do(clients, o)); err != nil {
			return err
		}
	}
}

// parallel is how many connections a process opens at a time.
const parallel = 128

func do(clients []*client, o order) (r result) {
	slots := make(chan struct{}, parallel)
	opened := make(chan struct{}) // closed once all connections are there
	var opening, doing sync.WaitGroup
	outcomes := make([]outcome, len(clients))
	for i, c := range clients {
		address := ""
		if len(o.Addresses) > 0 {
			address = o.Addresses[i%len(o.Addresses)]
		}
		switch o.Do {
		case "connect":
			slots <- struct{}{}
			doing.Go(func() {
				outcomes[i] = c.connect(address)
				<-slots
			})
		case "cut":
			c.cut()
		case "expect":
			doing.Go(func() { outcomes[i] = c.expect(o.Sent) })
		case "return":
			doing.Go(func() { outcomes[i] = c.comeBack(address, o.Sent) })
		case "back":
			opening.Go(func() {
				slots <- struct{}{}
				err := c.dial(address)
				<-slots
				doing.Go(func() {
					<-opened
					outcomes[i] = c.claim(err, address, o.Sent)
				})
			})
		}
	}
	opening.Wait()
	close(opened)
	doing.Wait()
	for _, each := range outcomes {
		r.Retries += each.retries
		switch {
		case each.err != nil:
			r.Failed++
			r.Error = each.err.Error()
		case each.fresh:
			r.Fresh++
		case each.recovered:
			r.Recovered++
			r.Waits = append(r.Waits, each.wait)
		}
		switch {
		case each.lost:
			r.Lost++
		case each.twice:
			r.Twice++
		case each.err == nil:
			r.Whole++
		}
	}
	return r
}
