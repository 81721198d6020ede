package socketio_test

import (
	"context"
	"errors"
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/prometheus/client_golang/prometheus"
)

// What clients of the msgpack parser send and receive, as captured from Node's.
const (
	msgpackConnect = "b:\x82\xa4type\x00\xa3nsp\xa1/"
	msgpackEcho    = "b:\x84\xa4type\x02\xa4data\x93\xa4echo\xa3\xe2\x82\xac\xc4\x02\x01\x02\xa2id\x05\xa3nsp\xa1/"
	msgpackAck     = "b:\x84\xa2id\x05\xa4type\x03\xa4data\x92\xa3\xe2\x82\xac\xc4\x02\x01\x02\xa3nsp\xa1/"
	msgpackHello   = "b:\x83\xa4type\x02\xa4data\x92\xa5hello\xc4\x01\x07\xa3nsp\xa1/"
	msgpackLeave   = "b:\x82\xa4type\x01\xa3nsp\xa1/"
)

// joinMsgpack opens a session of a msgpack client and joins the main namespace.
func joinMsgpack(t *testing.T, url string, connected <-chan *socketio.Socket) *peer {
	t.Helper()
	p := dial(t, url)
	p.send(msgpackConnect)
	s := receive(t, connected)
	p.expect("b:\x83\xa4type\x00\xa4data\x82\xa3sid\xb4" + s.ID() + "\xa3pid\xd4\x00\x00\xa3nsp\xa1/")
	return p
}

func TestParser_AutoServesBothKindsOfClients(t *testing.T) {
	server, url := serve(t, socketio.Config{Parser: packet.AutoParser})
	n := server.Of("/")
	echo(n)
	connected := sockets(n)
	server.Of("/no").Use(func(context.Context, *socketio.Socket) error { return errors.New("no") })
	modern := joinMsgpack(t, url, connected)
	plain, _ := join(t, url)
	receive(t, connected)
	modern.send(msgpackEcho)
	modern.expect(msgpackAck)
	plain.sync()
	if err := n.Emit("hello", []byte{7}); err != nil {
		t.Fatal(err)
	}
	modern.expect(msgpackHello)
	plain.expect(`451-["hello",{"_placeholder":true,"num":0}]`, "b:\x07")
	modern.send("b:\x82\xa4type\x00\xa3nsp\xa3/no")
	modern.expect("b:\x83\xa4type\x04\xa4data\x82\xa7message\xa2no\xa4data\xd4\x00\x00\xa3nsp\xa3/no")
	n.DisconnectSockets(false)
	modern.expect(msgpackLeave)
	plain.expect(`41`)
}

func TestParser_FixedOneRefusesTheOther(t *testing.T) {
	for parser, first := range map[packet.Parser]string{
		packet.DefaultParser: msgpackConnect, packet.MsgpackParser: `40`,
	} {
		_, url := serve(t, socketio.Config{Parser: parser})
		p := dial(t, url)
		p.send(first)
		p.expect("closed")
	}
}

func TestParser_MsgpackClientMayChangeItsMindNoMore(t *testing.T) {
	server, url := serve(t, socketio.Config{Parser: packet.AutoParser})
	p := joinMsgpack(t, url, sockets(server.Of("/")))
	p.send(`42["echo"]`)
	p.expect("closed")
}

func TestParser_MsgpackServesClientsOfRevision3(t *testing.T) {
	server, url := serve(t, socketio.Config{Parser: packet.MsgpackParser, Engine: engine.Config{EIO3: true}})
	echo(server.Of("/"))
	p := dialRevision3(t, url)
	p.expect("b:\x04\x82\xa4type\x00\xa3nsp\xa1/")
	p.send("b:\x04" + msgpackEcho[2:])
	p.expect("b:\x04" + msgpackAck[2:])
}

func TestParser_WhatMsgpackCannotCarryIsCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	server, url := serve(t, socketio.Config{Parser: packet.MsgpackParser, Registry: registry})
	n := server.Of("/")
	connected := sockets(n)
	p := joinMsgpack(t, url, connected)
	broken := packet.Args{JSON: []byte(`["e",{"_placeholder":true,"num":3}]`), Attachments: [][]byte{{1}}}
	if err := n.EmitArgs(broken); err != nil {
		t.Fatal(err)
	}
	if err := n.Emit("hello", []byte{7}); err != nil {
		t.Fatal(err)
	}
	p.expect(msgpackHello)
	if got := value(t, registry, "carillon_inbound_dropped_total", "encoding"); got != 1 {
		t.Errorf("counted %v", got)
	}
}
