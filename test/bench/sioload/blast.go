package main

import (
	"bytes"
	"net"
	"net/url"
	"runtime"
	"time"
)

// blastServer is no Socket.IO server: it answers the handshake with fixed
// bytes and, on each publish, sends every connection -inflight copies of the
// message in one write. It shows what the generator can take in.
func blastServer(o *options, raw string) int {
	runtime.GOMAXPROCS(2)
	u, err := url.Parse(raw)
	if err != nil {
		logf("%v", err)
		return 2
	}
	ln, err := net.Listen("tcp", u.Host)
	if err != nil {
		logf("%v", err)
		return 1
	}
	type cl struct{ c net.Conn }
	join := make(chan *cl, 1024)
	pub := make(chan []byte, 1024)
	go func() {
		var all []*cl
		for {
			select {
			case c := <-join:
				all = append(all, c)
			case m := <-pub:
				f := bytes.Repeat(m, max(1, o.inflight))
				for _, c := range all {
					_ = c.c.SetWriteDeadline(time.Now().Add(time.Second))
					_, _ = c.c.Write(f)
				}
			}
		}
	}()
	frame := func(s string) []byte {
		if len(s) < 126 {
			return append([]byte{0x81, byte(len(s))}, s...)
		}
		return append([]byte{0x81, 126, byte(len(s) >> 8), byte(len(s))}, s...)
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			return 1
		}
		go func() {
			b := make([]byte, 4096)
			n := 0
			for !bytes.Contains(b[:n], []byte("\r\n\r\n")) {
				k, err := c.Read(b[n:])
				if err != nil {
					return
				}
				n += k
			}
			_, _ = c.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"))
			_, _ = c.Write(frame(`0{"sid":"x"}`))
			n = 0
			for {
				k, err := c.Read(b[n:])
				if err != nil {
					return
				}
				n += k
				for n >= 6 {
					l, h := int(b[1]&127), 2
					if l == 126 {
						l, h = int(b[2])<<8|int(b[3]), 4
					}
					if n < h+4+l {
						break
					}
					p := b[h+4 : h+4+l]
					for i := range p {
						p[i] ^= b[h+i&3]
					}
					switch {
					case bytes.Equal(p, []byte("40")):
						_, _ = c.Write(frame(`40{"sid":"x"}`))
					case bytes.HasPrefix(p, []byte(`420["join"`)):
						join <- &cl{c}
						_, _ = c.Write(frame(`430[]`))
					case bytes.HasPrefix(p, []byte(`42["publish","room-0","`)):
						pub <- frame(`42["msg","` + string(p[23:]))
					}
					n = copy(b, b[h+4+l:n])
				}
			}
		}()
	}
}
