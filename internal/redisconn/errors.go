package redisconn

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// Error is an error that Redis answered with.
type Error string

func (e Error) Error() string { return string(e) }

// RedisError makes it one of go-redis' as well.
func (Error) RedisError() {}

// IsReply tells an error that Redis answered with from a failing connection.
func IsReply(err error) bool {
	var reply goredis.Error
	return errors.As(err, &reply)
}

// replyText is what Redis answered; empty for another error.
func replyText(err error) string {
	var reply goredis.Error
	if !errors.As(err, &reply) {
		return ""
	}
	return reply.Error()
}

func code(err error) string {
	first, _, _ := strings.Cut(replyText(err), " ")
	return first
}

// NotNow reports whether Redis did not carry a command out but would later: while a script runs, while it loads its data, or
// while a cluster has no server for the slot.
func NotNow(err error) bool {
	return slices.Contains([]string{"BUSY", "LOADING", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN"}, code(err))
}

// NoWrites reports whether Redis takes no writes for now: it has no memory left, too few replicas follow it, or it cannot save
// its data. PUBLISH is not refused then.
func NoWrites(err error) bool {
	return slices.Contains([]string{"OOM", "NOREPLICAS", "MISCONF"}, code(err))
}

// Asks reports whether a slot is being moved to another server of the cluster, which has the key already.
func Asks(err error) bool { return code(err) == "ASK" }

// ReadOnly reports whether the server is a replica, which takes no writes.
func ReadOnly(err error) bool { return code(err) == "READONLY" }

// Denied reports whether the user lacks a right, or could not log in.
func Denied(err error) bool { return goredis.IsPermissionError(err) || goredis.IsAuthError(err) }

// DeniedChannel reports whether the user lacks the right to a channel of the command, not to the command.
func DeniedChannel(err error) bool {
	return goredis.IsPermissionError(err) && strings.Contains(replyText(err), "channel")
}

// UnknownCommand reports whether the server is too old for a command.
func UnknownCommand(err error) bool { return strings.HasPrefix(replyText(err), "ERR unknown command") }

// MovedTo reads the answer of a server that another one serves the slot. from is the address of the one that answers: an
// answer without a host means the same host.
func MovedTo(err error, from string) (slot uint16, address string, ok bool) {
	fields := strings.Fields(replyText(err))
	if len(fields) != 3 || fields[0] != "MOVED" {
		return 0, "", false
	}
	n, err := strconv.ParseUint(fields[1], 10, 16)
	if err != nil || n >= Slots {
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
