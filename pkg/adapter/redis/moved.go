package redis

import (
	"errors"
	"net"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/rediswire"
)

// movedTo reads the answer of a master that a slot belongs to another one. from is the address of the one that
// answers, whose host is meant where the answer names none.
func movedTo(err error, from string) (slot uint16, address string, ok bool) {
	text, ok := replyText(err)
	if !ok {
		return 0, "", false
	}
	fields := strings.Fields(text)
	if len(fields) != 3 || fields[0] != "MOVED" {
		return 0, "", false
	}
	n, err := strconv.ParseUint(fields[1], 10, 16)
	if err != nil || n >= rediswire.Slots {
		return 0, "", false
	}
	return uint16(n), sameHost(fields[2], from), true
}

// sameHost completes an address without host.
func sameHost(address, from string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host != "" {
		return address
	}
	host, _, _ = net.SplitHostPort(from)
	return net.JoinHostPort(host, port)
}

// isDown reports whether a cluster says that nobody serves the slot just now.
func isDown(err error) bool {
	text, ok := replyText(err)
	return ok && strings.HasPrefix(text, "CLUSTERDOWN ")
}

// isUnknownCommand reports whether the server is too old for a command.
func isUnknownCommand(err error) bool {
	text, ok := replyText(err)
	return ok && strings.HasPrefix(text, "ERR unknown command")
}

func replyText(err error) (string, bool) {
	var reply goredis.Error
	if !errors.As(err, &reply) {
		return "", false
	}
	return reply.Error(), true
}
