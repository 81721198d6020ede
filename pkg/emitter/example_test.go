package emitter_test

import (
	"context"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/emitter"
)

func Example() {
	// Without MaxRetries: -1 a message can be published twice when the connection breaks.
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:6379", MaxRetries: -1})
	defer func() { _ = client.Close() }()

	ctx := context.Background()
	orders := emitter.New(client, emitter.Config{Namespace: "/orders"})
	order := struct {
		ID    int     `json:"id"`
		Total float64 `json:"total"`
	}{42, 12.5}
	if err := orders.To("user:7").Emit(ctx, "paid", order); err != nil {
		fmt.Println(err)
	}
	if err := orders.In("user:7").SocketsJoin(ctx, "customers"); err != nil {
		fmt.Println(err)
	}
	if err := orders.To("customers").Except("user:7").Volatile().Emit(ctx, "sold", order.ID); err != nil {
		fmt.Println(err)
	}
}
