package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/carillon-io/carillon/pkg/socketio"
)

// chat is the application: what clients may do, and what they are told.
type chat struct {
	// Static after construction.
	io     *socketio.Server
	main   *socketio.Namespace
	tokens tokens

	counting sync.Mutex // held while a count is taken and sent, so that the last one sent is right
}

func newChat() (*chat, error) {
	io, err := socketio.New(socketio.Config{DrainWindow: time.Second})
	if err != nil {
		return nil, fmt.Errorf("make the Socket.IO server: %w", err)
	}
	c := &chat{io: io, main: io.Of("/"), tokens: tokens{key: []byte(rand.Text())}}
	c.main.Use(c.admit)
	c.main.OnConnect(c.connected)
	return c, nil
}

// Prefixes keep what clients name apart: a room called like a user, or like a socket's id, is another room.
func userRoom(name string) string { return "user:" + name }
func chatRoom(name string) string { return "room:" + name }

const maxText = 2000 // characters

var goodName = regexp.MustCompile(`^[\p{L}\p{N}._-]{1,32}$`)

// Data tells a program what the text tells a person.
var (
	errName  = &socketio.ConnectError{Message: "a name is 1 to 32 letters, digits, dots, dashes or underscores", Data: map[string]string{"field": "name"}}
	errToken = &socketio.ConnectError{Message: "log in first", Data: map[string]string{"code": "token"}}
)

// user is the name of a socket's user. A type of its own, its values meet no other package's.
type user string

// admit lets in clients with a token, in auth or found by withUser, and makes every device of that user reachable under the
// user's name.
func (c *chat) admit(_ context.Context, s *socketio.Socket) error {
	var auth struct{ Token string }
	if err := s.UnmarshalAuth(&auth); err != nil {
		return errToken
	}
	name, ok := c.tokens.verify(auth.Token)
	if auth.Token == "" {
		name, ok = s.Context().Value(userKey{}).(string)
	}
	if !ok {
		return errToken
	}
	socketio.SetValue(s, user(name))
	return s.Join(userRoom(name))
}

// connected sets a socket's handlers. They run one at a time for each client, so they may wait.
func (c *chat) connected(s *socketio.Socket) {
	u, _ := socketio.Value[user](s) // admit has set it
	name := string(u)
	s.On("enter", func(room string, ack socketio.Ack) { reply(ack, c.enter(s, name, room)) })
	s.On("leave", func(room string, ack socketio.Ack) { reply(ack, c.leave(s, name, room)) })
	s.On("message", func(room, text string, ack socketio.Ack) { reply(ack, c.message(s, name, room, text)) })
	s.On("typing", func(room string) { c.typing(s, name, room) })
	s.On("private", func(to, text string, ack socketio.Ack) { reply(ack, c.private(s, name, to, text)) })

	c.count()
	s.OnDisconnecting(func(socketio.Reason) { // while the rooms still stand
		for _, room := range s.Rooms(nil) {
			if room, ok := strings.CutPrefix(room, chatRoom("")); ok {
				_ = s.To(chatRoom(room)).Emit("left", room, name) // two strings can always be sent
			}
		}
	})
	s.OnDisconnect(func(socketio.Reason) { c.count() })
}

// count tells everybody how many clients there are. Several nodes would add theirs up with ServerEmitWithAck.
func (c *chat) count() {
	c.counting.Lock()
	defer c.counting.Unlock()
	_ = c.main.Emit("online", c.main.Sockets()) // a number can always be sent
}

func (c *chat) enter(s *socketio.Socket, name, room string) error {
	if !goodName.MatchString(room) {
		return errName
	}
	if s.In(chatRoom(room)) {
		return nil
	}
	if err := s.Join(chatRoom(room)); err != nil {
		return err
	}
	return s.To(chatRoom(room)).Emit("entered", room, name)
}

var errNotInRoom = errors.New("you are not in that room")

func (c *chat) leave(s *socketio.Socket, name, room string) error {
	if !s.In(chatRoom(room)) {
		return errNotInRoom
	}
	s.Leave(chatRoom(room))
	return s.To(chatRoom(room)).Emit("left", room, name)
}

func (c *chat) message(s *socketio.Socket, name, room, text string) error {
	if !s.In(chatRoom(room)) {
		return errNotInRoom
	}
	if err := checkText(text); err != nil {
		return err
	}
	return s.To(chatRoom(room)).Emit("message", room, name, text)
}

// typing is worth nothing a second later: volatile.
func (c *chat) typing(s *socketio.Socket, name, room string) {
	if s.In(chatRoom(room)) {
		_ = s.To(chatRoom(room)).Volatile().Emit("typing", room, name) // two strings can always be sent
	}
}

// private reaches a user on every device, and the sender's other devices. It is an error when none of the user's devices says
// in time that it has the message.
func (c *chat) private(s *socketio.Socket, from, to, text string) error {
	if err := checkText(text); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.Context(), 2*time.Second)
	defer cancel()
	answers, err := s.To(userRoom(to)).EmitWithAck(ctx, "private", from, to, text)
	switch {
	case len(answers) > 0: // some device has it
	case err != nil:
		return fmt.Errorf("%s does not answer: %w", to, err)
	default:
		return fmt.Errorf("%s is not here", to)
	}
	return s.To(userRoom(from)).Except(userRoom(to)).Emit("private", from, to, text)
}

// clock sends the time until ctx ends.
func (c *chat) clock(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			_ = c.main.Volatile().Emit("clock", now.Unix()) // a number can always be sent
		}
	}
}

// notify sends a notification to one user, or to everybody when user is empty.
func (c *chat) notify(user, text string) error {
	if user == "" {
		return c.main.Emit("notification", text)
	}
	return c.main.To(userRoom(user)).Emit("notification", text)
}

func checkText(text string) error {
	if n := utf8.RuneCountInString(text); n == 0 || n > maxText {
		return fmt.Errorf("a text has 1 to %d characters", maxText)
	}
	return nil
}

// reply acknowledges a request.
func reply(ack socketio.Ack, err error) {
	answer := map[string]any{"ok": true}
	if err != nil {
		answer = map[string]any{"error": err.Error()}
	}
	_ = ack.Send(answer) // which can always be sent
}
