package backend

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// maxInbox bounds the answers that wait for a gateway process, which reads them all the time.
const maxInbox = 10_000

// Answerer answers clients from any process, be it the one that consumes the entry or not.
type Answerer struct {
	Client goredis.UniversalClient
	Prefix string // as Config.Prefix; default "carillon"
}

// Answer sends the arguments of an acknowledgement to the client that waits for it. node and ack are of the entry:
// Entry.Node and Entry.Ack. A nil error means that Redis took the answer, not that it was in time: gateways drop answers
// after Entry.Deadline, and all but the first. An answer to a gateway that has gone is dropped without an error.
func (a Answerer) Answer(ctx context.Context, node, ack string, args ...any) error {
	list, err := packet.Marshal(args...)
	if err != nil {
		return fmt.Errorf("backend: answer: %w", err)
	}
	prefix := a.Prefix
	if prefix == "" {
		prefix = "carillon"
	}
	err = a.Client.XAdd(ctx, answerTo(prefix, node, answerFields(ack, list))).Err()
	if err != nil && !errors.Is(err, goredis.Nil) { // nil: the inbox has gone with its gateway
		return fmt.Errorf("backend: answer: %w", err)
	}
	return nil
}

// answerFields are the fields of an answer in a gateway's inbox.
func answerFields(ack string, args packet.Args) []string {
	data := string(args.JSON)
	if data == "" {
		data = "[]"
	}
	fields := []string{"t", "ack", "a", ack, "data", data}
	for i, attachment := range args.Attachments {
		fields = append(fields, "b"+strconv.Itoa(i), string(attachment))
	}
	return fields
}

func answerTo(prefix, node string, fields []string) *goredis.XAddArgs {
	return &goredis.XAddArgs{Stream: inbox(prefix, node), NoMkStream: true, MaxLen: maxInbox, Approx: true, Values: fields}
}
