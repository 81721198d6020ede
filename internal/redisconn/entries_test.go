package redisconn_test

import (
	"bytes"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/redisconn"
)

// list is an array of replies that are written already.
func list(replies ...string) string {
	return "*" + strconv.Itoa(len(replies)) + "\r\n" + strings.Join(replies, "")
}

func word(text string) string { return "$" + strconv.Itoa(len(text)) + "\r\n" + text + "\r\n" }

func entry(id string, fields ...string) string { return list(word(id), bulk(fields...)) }

func TestRead_TakesTheFieldsThatAreWanted(t *testing.T) {
	long := strings.Repeat("v", 11) // reader keeps ten bytes
	for _, c := range []struct {
		reply string
		want  []redisconn.Entry
		err   error
	}{
		{reply: "*-1\r\n"},
		{reply: "*0\r\n"},
		{reply: "-ERR no\r\n", err: redisconn.Error("ERR no")},
		{
			reply: list(list(word("s"), list(entry("1-0", "b", "B", "a", "A", "other", "x"), entry("1-1", "other", long)))),
			want:  []redisconn.Entry{{ID: "1-0", Values: [][]byte{[]byte("A"), []byte("B")}}, {ID: "1-1", Values: [][]byte{nil, nil}}},
		},
		{
			reply: list(list(word("s"), list(entry("2-0", "a", "", "b", long)))),
			want:  []redisconn.Entry{{ID: "2-0", Values: [][]byte{{}, nil}, Cut: true}},
		},
	} {
		var got []redisconn.Entry
		r := reader(c.reply + ":7\r\n")
		err := r.Read([]string{"a", "b"}, func(e redisconn.Entry) { got = append(got, e) })
		if !errors.Is(err, c.err) || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: got %v, %v", c.reply, got, err)
		}
		if n, err := r.Result(); n != 7 || err != nil {
			t.Errorf("%q: the next reply is %d, %v", c.reply, n, err)
		}
	}
}

func TestRange_IsAListOfEntries(t *testing.T) {
	var got []string
	err := reader(list(entry("1-0", "a", "A"), entry("1-1", "a", "B"))).Range([]string{"a"}, func(e redisconn.Entry) {
		got = append(got, e.ID+string(e.Values[0]))
	})
	if want := []string{"1-0A", "1-1B"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestRead_RefusesWhatIsNoStream(t *testing.T) {
	for _, reply := range []string{
		"+OK\r\n", ":1\r\n", word("x"), list(word("s")), list(list(word("s"), list()), list(word("s"), list())), list(list(word("s"))),
		list(list(word("s"), list(word("1-0")))), list(list(word("s"), list(list(word("1-0"), word("a"))))), "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n",
	} {
		if err := reader(reply).Read([]string{"a"}, func(redisconn.Entry) {}); err == nil {
			t.Errorf("%q is taken for a stream", reply)
		}
	}
}

// FuzzRead: whatever a server says, what is kept is not longer than what it sent.
func FuzzRead(f *testing.F) {
	f.Add([]byte(list(list(word("s"), list(entry("1-0", "a", "A", "b", "B"))))))
	f.Add([]byte("*1\r\n*2\r\n$1\r\ns\r\n*1048576\r\n"))
	f.Fuzz(func(t *testing.T, reply []byte) {
		kept := 0
		r := redisconn.NewReader(bytes.NewReader(reply), buffer)
		r.MaxPayload = 1 << 20
		_ = r.Read([]string{"a", "b"}, func(e redisconn.Entry) {
			kept += len(e.ID)
			for _, v := range e.Values {
				kept += len(v)
			}
		})
		if kept > len(reply) {
			t.Fatalf("%d bytes are kept of %d", kept, len(reply))
		}
	})
}
