package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/carillon-io/carillon/pkg/rooms"
)

const (
	indexRounds = 301 // the median of so many
	indexBatch  = 200 // newcomers that are timed together
)

// measureIndex times newcomers of a room that has members already, in a namespace of 20,000.
func measureIndex(members int) map[string]float64 {
	const residents = 20_000
	x := rooms.New[string]()
	for i := range residents {
		m := new(rooms.Member[string])
		x.Add(m, fmt.Sprint("resident-", i), "")
		if i < members {
			mustJoin(x, m)
		}
	}
	batch := make([]*rooms.Member[string], indexBatch)
	var joins, leaves, disconnects []float64
	for round := range indexRounds {
		for i := range batch {
			batch[i] = new(rooms.Member[string])
			x.Add(batch[i], fmt.Sprint("newcomer-", round, "-", i), "")
		}
		join := func(m *rooms.Member[string]) { mustJoin(x, m) }
		joins = append(joins, timed(batch, join))
		leaves = append(leaves, timed(batch, func(m *rooms.Member[string]) { x.Leave(m, "room") }))
		timed(batch, join)
		disconnects = append(disconnects, timed(batch, func(m *rooms.Member[string]) { x.Remove(nil, m) }))
	}
	return map[string]float64{"join_ns": median(joins), "leave_ns": median(leaves), "disconnect_ns": median(disconnects)}
}

// timed returns the nanoseconds for each of the batch.
func timed(batch []*rooms.Member[string], do func(*rooms.Member[string])) float64 {
	start := time.Now()
	for _, m := range batch {
		do(m)
	}
	return float64(time.Since(start).Nanoseconds()) / float64(len(batch))
}

func mustJoin(x *rooms.Index[string], m *rooms.Member[string]) {
	if err := x.Join(m, 0, "room"); err != nil {
		panic(err) // it is there, and there is no limit
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
