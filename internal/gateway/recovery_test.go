package gateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// wire is a client at the level of bytes, which comes back as official ones do.
type wire struct {
	t        *testing.T
	base     string
	ws       *websocket.Conn
	sid, pid string
}

func (w *wire) connect(auth map[string]string) {
	w.t.Helper()
	ws, response, err := websocket.DefaultDialer.Dial(strings.Replace(w.base, "http", "ws", 1)+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	_ = response.Body.Close()
	w.t.Cleanup(func() { _ = ws.Close() })
	w.ws = ws
	w.read()
	text, _ := json.Marshal(auth)
	w.send("40" + string(text))
	var answer struct{ SID, PID string }
	got := w.read()
	if json.Unmarshal([]byte(strings.TrimPrefix(got, "40")), &answer) != nil || answer.PID == "" {
		w.t.Fatalf("CONNECT was answered %q", got)
	}
	w.sid, w.pid = answer.SID, answer.PID
}

func (w *wire) send(text string) {
	w.t.Helper()
	if err := w.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wire) read() string {
	w.t.Helper()
	for {
		_ = w.ws.SetReadDeadline(time.Now().Add(time.Minute))
		_, data, err := w.ws.ReadMessage()
		if err != nil {
			w.t.Fatal(err)
		}
		if string(data) != "2" {
			return string(data)
		}
		w.send("3")
	}
}

func (w *wire) expect(prefix string) {
	w.t.Helper()
	if got := w.read(); !strings.HasPrefix(got, prefix) {
		w.t.Fatalf("received %q, want %q", got, prefix)
	}
}

// A recovered cut never happened for the rules: who comes back is asked for a token, of connect only the joins are done, and
// disconnect waits until the socket is really over.
func TestRecovery_RulesAndTokens(t *testing.T) {
	t.Parallel()
	i := run(t, quick+`
socketio: {recovery: {enabled: true, window: 1s}}
auth: {jwt: {secret: "the secret of this test"}}
namespaces:
  "/":
    connect:
      require: token
      if: '!("pid" in auth) && !("offset" in auth)'
      do:
        - join: "user:${claims.sub}"
        - broadcast: {event: came, args: ["${sid}"], exclude_sender: true}
    rules:
      - event: who
        ack: ["${claims.sub}", "${sid}"]
      - event: say
        do: [{emit: {to: "user:ann", event: said, args: "${args}"}}]
    disconnect:
      do: [{broadcast: {event: left, args: ["${sid}", "${reason}"]}}]
  "/fresh":
    recovery: false
`)
	const secret = "the secret of this test"
	watcher := &wire{t: t, base: i.clients}
	watcher.connect(map[string]string{"token": tokenOf(t, secret, "watcher")})
	ann := &wire{t: t, base: i.clients}
	token := tokenOf(t, secret, "ann")
	ann.connect(map[string]string{"token": token})
	watcher.expect(fmt.Sprintf(`42["came",%q,`, ann.sid))
	sid, pid := ann.sid, ann.pid

	_ = ann.ws.Close()
	watcher.send(`421["say",1]`)
	watcher.expect(`431`)
	ann.connect(map[string]string{"token": token, "pid": pid})
	if ann.pid != pid || ann.sid != sid {
		t.Fatalf("%s came back as %s", sid, ann.sid)
	}
	ann.expect(`42["said",1,"@`)
	ann.send(`421["who"]`)
	ann.expect(fmt.Sprintf(`431["ann",%q]`, sid))

	// Another subject is another socket.
	_ = ann.ws.Close()
	bob := &wire{t: t, base: i.clients}
	bob.connect(map[string]string{"token": tokenOf(t, secret, "bob"), "pid": pid})
	if bob.pid == pid || bob.sid == sid {
		t.Error("another subject has recovered the session")
	}
	watcher.expect(fmt.Sprintf(`42["came",%q,`, bob.sid))
	watcher.expect(fmt.Sprintf(`42["left",%q,"transport close",`, sid)) // a second later, once
	i.metric(t, `carillon_recoveries_total{result="recovered"} 1`)
	i.metric(t, `carillon_recoveries_total{result="refused"} 1`)
	ann.connect(map[string]string{"token": token, "pid": pid})
	if ann.pid == pid {
		t.Error("recovered a session that is over")
	}
	i.metric(t, `carillon_recoveries_total{result="expired"} 1`)
}
