package redisqueue

import "time"

// Message is one PUBLISH, or SPUBLISH, to be.
type Message struct {
	Channel string
	Slot    uint16 // of a sharded channel; else 0
	Payload []byte
	Done    func(error) // called once with the outcome, without locks; may be nil
	// Answered is set for a node's own probes and fences, which are not counted as traffic. It is called instead of Done,
	// with the number of connections that received it.
	Answered func(receivers int64, err error)

	queuedAt time.Time
}

// Finish tells the outcome.
func (m *Message) Finish(receivers int64, err error) {
	switch {
	case m.Answered != nil:
		m.Answered(receivers, err)
	case m.Done != nil:
		m.Done(err)
	}
}

// Losses are messages that a queue has dropped, and counted.
type Losses []loss

type loss struct {
	message Message
	err     error
}

// Finish tells the outcome of each. The caller holds no lock.
func (l Losses) Finish() {
	for i := range l {
		l[i].message.Finish(0, l[i].err)
	}
}
