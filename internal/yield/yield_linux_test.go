package yield

import (
	"net"
	"runtime"
	"testing"
)

// With one thread and a goroutine that is always runnable, the runtime looks for input only when that goroutine yields.
func TestNow_RunsReadersWhoseInputHasArrived(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()

	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	read := make(chan error, 1)
	waits := func() {
		_, err := server.Read(make([]byte, 1))
		read <- err
	}
	for range 100 {
		go waits()
		for range 10 {
			runtime.Gosched() // it waits by now
		}
		if _, err := client.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
		const patience = 10 // the runtime has things of its own to do now and then; it would take thousands without a look
		for n := 0; len(read) == 0; n++ {
			if n == patience {
				t.Fatal("the reader has not run")
			}
			Now()
		}
		if err := <-read; err != nil {
			t.Fatal(err)
		}
	}
}
