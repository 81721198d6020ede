package recovery

import (
	"strings"

	"github.com/carillon-io/carillon/internal/recovery/move"
	"github.com/carillon-io/carillon/pkg/rooms"
)

// mostBans bounds the bytes of the commands that a log remembers as bans.
const mostBans = 256 << 10

// bans are the newest commands that disconnected sockets, in the order of the stream. What a client names as its last event may
// be an entry behind such a command, of which it knows from another session; the stream is read from there on only.
type bans struct {
	list  []ban
	bytes int
}

type ban struct {
	place  uint64
	target rooms.Target
	size   int
}

// Ban remembers a command at an entry that disconnects sockets. The caller has the turn.
func (l *Log) Ban(id string, t rooms.Target) {
	place, ok := placeOf(id)
	if !ok {
		return
	}
	b := ban{place: place, target: rooms.Target{Rooms: cloned(t.Rooms), Except: cloned(t.Except)}, size: entryOverhead}
	for _, list := range [][]string{t.Rooms, t.Except} {
		for _, name := range list {
			b.size += len(name) + 16
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bans.list = append(l.bans.list, b)
	l.bans.bytes += b.size
	for since := l.bannedSince(place); len(l.bans.list) > 0 && (l.bans.bytes > mostBans || l.bans.list[0].place < since); {
		l.bans.bytes -= l.bans.list[0].size
		l.bans.list[0] = ban{}
		l.bans.list = l.bans.list[1:]
	}
}

// bannedSince is the first place, before another, of a ban that a stored session may not have been reached by: those before
// were carried out by the server that had it, which was killed no longer ago than sessions are stored for.
func (l *Log) bannedSince(place uint64) uint64 {
	window := l.store.config.Window.Milliseconds()
	span := uint64(2*window+1000) << (serialBits + 1)
	return place - min(place, span)
}

// cloned is a list apart from the message that it came with.
func cloned(names []string) (list []string) {
	for _, name := range names {
		list = append(list, strings.Clone(name))
	}
	return list
}

// Banned applies the bans up to an entry behind which the stream is read.
func (r *Returning) Banned(through string) {
	last, _ := placeOf(through)
	l := r.log
	l.mu.Lock()
	defer l.mu.Unlock()
	since := l.bannedSince(max(l.last, last))
	for i := range l.bans.list {
		if b := &l.bans.list[i]; b.place > r.at && b.place <= last && b.place >= since {
			r.apply(&Command{Kind: move.Kick, Target: b.target})
		}
	}
}
