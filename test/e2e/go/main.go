// The Go client of github.com/zishang520 over WebSocket, for the table of endings: see js/endings.mjs.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/zishang520/socket.io/clients/engine/v3/transports"
	"github.com/zishang520/socket.io/clients/socket/v3"
	"github.com/zishang520/socket.io/v3/pkg/types"
)

func main() {
	for name, allowed := range map[string]*types.Set[transports.TransportCtor]{
		"go/websocket": types.NewSet(transports.WebSocket),
		"go/upgrade":   types.NewSet(transports.Polling, transports.WebSocket),
	} {
		options := socket.DefaultOptions()
		options.SetTransports(allowed)
		options.SetReconnectionDelay(100)
		options.SetReconnectionDelayMax(500)
		options.SetTimeout(5 * time.Second) // of an attempt
		manager := socket.NewManager(os.Args[1], options)
		client, extra := manager.Socket("/", nil), manager.Socket("/extra", nil)
		times := 0
		_ = extra.On("connect", func(...any) {
			times++
			_ = extra.Emit("echo", times, func(answer []any, err error) {
				if err == nil {
					fmt.Println(name, "up", answer[0])
				}
			})
		})
		_ = client.On("disconnect", func(reason ...any) { fmt.Println(name, "down", reason[0]) })
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	<-stop
}
