package wsframe

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

const testLimit = 100_000

// read returns the messages in what a client has sent, and what ended the reading. It arrives in pieces of at most piece
// bytes. A Close frame is a CloseCode, the end of what was sent io.EOF.
func read(r *Reader, sent []byte, piece int) (messages []string, err error) {
	for {
		m, err := r.Next(testLimit)
		switch {
		case errors.Is(err, ErrMore):
			if len(sent) == 0 {
				return messages, io.EOF
			}
			n := copy(r.Space(), sent[:min(piece, len(sent))])
			r.Filled(n)
			sent = sent[n:]
		case err != nil:
			return messages, err
		case m.Opcode == Close:
			code, err := ParseClose(m.Data)
			if err == nil {
				err = code
			}
			return messages, err
		case m.Opcode == Text, m.Opcode == Binary:
			messages = append(messages, fmt.Sprint(m.Opcode, ":", string(m.Data)))
		}
	}
}

// script is a connection whose peer has sent everything already.
type script struct {
	net.Conn
	*bytes.Reader
}

func (c script) Read(p []byte) (int, error)     { return c.Reader.Read(p) }
func (script) Write(p []byte) (int, error)      { return len(p), nil }
func (script) Close() error                     { return nil }
func (script) SetDeadline(time.Time) error      { return nil }
func (script) SetWriteDeadline(time.Time) error { return nil }

// oracle reads the same with gorilla, whose connections can only be had by a handshake.
func oracle(t testing.TB, sent []byte) (messages []string, err error) {
	conn := script{Reader: bytes.NewReader(sent)}
	request := &http.Request{Method: http.MethodGet, Header: http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}}
	ws, err := (&websocket.Upgrader{ReadBufferSize: 4096}).Upgrade(scriptResponse{conn}, request, nil)
	if err != nil {
		t.Fatal(err)
	}
	for {
		kind, message, err := ws.ReadMessage()
		switch {
		case err != nil:
			return messages, err
		case kind == websocket.TextMessage && !utf8.Valid(message):
			return messages, NotUTF8
		}
		messages = append(messages, fmt.Sprint(kind, ":", string(message)))
	}
}

type scriptResponse struct{ conn net.Conn }

func (scriptResponse) Header() http.Header         { return http.Header{} }
func (scriptResponse) Write(p []byte) (int, error) { return len(p), nil }
func (scriptResponse) WriteHeader(int)             {}
func (r scriptResponse) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nothing := bufio.NewReader(strings.NewReader(""))
	return r.conn, bufio.NewReadWriter(nothing, bufio.NewWriter(r.conn)), nil
}

// masked builds a client's frame; first is its first byte.
func masked(first byte, payload string) string {
	frame := Append(nil, first, "", []byte(payload))
	head := frame[:HeaderSize(len(payload))]
	head[1] |= bitMasked
	mask := [4]byte{0x12, 0x34, 0xa6, 0xf8}
	body := []byte(payload)
	Mask(mask, 0, body)
	return string(head) + string(mask[:]) + string(body)
}

func TestReader(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 6000) // 96,000 bytes
	for _, c := range []struct {
		name string
		sent string
		want []string
		err  error
	}{
		{name: "nothing", err: io.EOF},
		{name: "text", sent: masked(0x81, "4€"), want: []string{"1:4€"}, err: io.EOF},
		{name: "empty", sent: masked(0x81, "") + masked(0x82, ""), want: []string{"1:", "2:"}, err: io.EOF},
		{name: "medium", sent: masked(0x82, long[:126]), want: []string{"2:" + long[:126]}, err: io.EOF},
		{name: "long", sent: masked(0x81, long) + masked(0x81, "4"), want: []string{"1:" + long, "1:4"}, err: io.EOF},
		{
			name: "fragments", err: io.EOF,
			sent: masked(0x01, "a") + masked(0x00, "") + masked(0x00, long[:7000]) + masked(0x80, "z"),
			want: []string{"1:a" + long[:7000] + "z"},
		},
		{
			name: "character cut in two", err: io.EOF,
			sent: masked(0x01, "\xe2\x82") + masked(0x80, "\xac"), want: []string{"1:€"},
		},
		{
			name: "control frames between fragments", err: io.EOF,
			sent: masked(0x02, "a") + masked(0x89, "ping") + masked(0x8a, "pong") + masked(0x80, ""), want: []string{"2:a"},
		},
		{name: "cut off in the head", sent: masked(0x81, "4")[:3], err: io.EOF},
		{name: "cut off in the payload", sent: masked(0x81, "4abc")[:8], err: io.EOF},
		{name: "not masked", sent: "\x81\x014", err: ProtocolError},
		{name: "reserved bit", sent: masked(0xc1, "4"), err: ProtocolError},
		{name: "reserved opcode", sent: masked(0x83, "4"), err: ProtocolError},
		{name: "reserved control opcode", sent: masked(0x8b, "4"), err: ProtocolError},
		{name: "fragmented ping", sent: masked(0x09, "4"), err: ProtocolError},
		{name: "long ping", sent: masked(0x89, long[:126]), err: ProtocolError},
		{name: "continuation of nothing", sent: masked(0x80, "4"), err: ProtocolError},
		{name: "message within a message", sent: masked(0x01, "4") + masked(0x81, "4"), err: ProtocolError},
		{name: "not UTF-8", sent: masked(0x81, "4\xff"), err: NotUTF8},
		{name: "binary needs no UTF-8", sent: masked(0x82, "\xff"), want: []string{"2:\xff"}, err: io.EOF},
		{name: "too long", sent: masked(0x82, strings.Repeat("x", testLimit+1)), err: TooLarge},
		{name: "too long in fragments", sent: masked(0x02, long) + masked(0x80, long[:4001]), err: TooLarge},
		{name: "63 bits of length", sent: "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff1234", err: TooLarge},
		{name: "64 bits of length", sent: "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff1234", err: ProtocolError},
		{
			name: "as many fragments as may be", err: io.EOF,
			sent: masked(0x01, "a") + strings.Repeat(masked(0x00, ""), 9998) + masked(0x80, "z"), want: []string{"1:az"},
		},
		{name: "too many fragments", sent: masked(0x01, "a") + strings.Repeat(masked(0x00, ""), 9999) + masked(0x80, "z"), err: TooMany},
		{name: "Close", sent: masked(0x88, "") + masked(0x81, "4"), err: CloseCode(0)},
		{name: "Close with a code", sent: masked(0x88, "\x03\xe9bye"), err: CloseCode(1001)},
		{name: "Close with half a code", sent: masked(0x88, "\x03"), err: ProtocolError},
		{name: "Close with a code nobody may send", sent: masked(0x88, "\x03\xee"), err: ProtocolError},
		{name: "Close with a bad reason", sent: masked(0x88, "\x03\xe8\xff"), err: NotUTF8},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, piece := range []int{1, 7, 600, 1 << 20} {
				r := Reader{Resident: piece == 7}
				messages, err := read(&r, []byte(c.sent), piece)
				r.Release()
				if fmt.Sprint(messages) != fmt.Sprint(c.want) || !errors.Is(err, c.err) {
					t.Errorf("pieces of %d: %.80q, %v, want %.80q, %v", piece, messages, err, c.want, c.err)
				}
			}
		})
	}
}

func TestReader_AllocatesNothing(t *testing.T) {
	sent := []byte(masked(0x81, "4hello") + masked(0x82, strings.Repeat("x", 300)))
	var r Reader
	allocations := testing.AllocsPerRun(100, func() {
		for messages := 0; messages < 2; {
			switch _, err := r.Next(testLimit); {
			case errors.Is(err, ErrMore):
				r.Filled(copy(r.Space(), sent))
			case err != nil:
				t.Fatal(err)
			default:
				messages++
			}
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations for two messages", allocations)
	}
}

// A connection that waits for input holds none of our memory, whatever it has sent before.
func TestReader_HoldsNothingBetweenMessages(t *testing.T) {
	for _, size := range []int{0, 10, 5000, 90_000} {
		for _, piece := range []int{1, 1000, 1 << 20} {
			var r Reader
			sent := []byte(masked(0x81, strings.Repeat("x", size)) + masked(0x89, "ping"))
			if _, err := read(&r, sent, piece); !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			r.Space()
			r.Filled(0)
			if n := r.Held(); n != 0 {
				t.Errorf("%d bytes in pieces of %d: %d bytes are held", size, piece, n)
			}
		}
	}
}

// FuzzReader compares with gorilla what a client may send, in whatever pieces it arrives.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		masked(0x81, "4hello") + masked(0x82, "\x01\x02"),
		masked(0x01, "4a") + masked(0x89, "x") + masked(0x80, strings.Repeat("b", 5000)),
		masked(0x88, "\x03\xe8bye"), masked(0x88, "\x03"), masked(0x81, "\xff"),
		"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x001234", "\x81\xfe\x00\x7e", "\xf1\x80", "\x81\x01x",
	} {
		f.Add([]byte(seed), 3)
	}
	f.Fuzz(func(t *testing.T, sent []byte, piece int) {
		messages, err := read(new(Reader), sent, 1+piece&0xfff)
		want, wantErr := oracle(t, sent)
		if errors.Is(err, TooLarge) || errors.Is(err, TooMany) {
			return // gorilla has no limits here
		}
		if fmt.Sprint(messages) != fmt.Sprint(want) {
			t.Fatalf("read %q, gorilla %q", messages, want)
		}
		var closed *websocket.CloseError
		normal := errors.As(wantErr, &closed) && closed.Code != websocket.CloseAbnormalClosure
		var code CloseCode
		var v Violation
		switch {
		case errors.As(err, &code):
			if !normal && code != 1014 { // a code gorilla does not know
				t.Fatalf("Close with %d, gorilla %v", code, wantErr)
			}
		case errors.As(err, &v):
			halfCode := normal && closed.Code == websocket.CloseNoStatusReceived // gorilla takes it for none
			if normal && !halfCode || errors.Is(wantErr, io.EOF) {
				t.Fatalf("%v, gorilla %v", err, wantErr)
			}
		default:
			if normal {
				t.Fatalf("%v, gorilla %v", err, wantErr)
			}
		}
	})
}
