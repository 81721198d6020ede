package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/gateway"
	"github.com/carillon-io/carillon/pkg/emitter"
)

func newEmit() *cobra.Command {
	var (
		url, file, key, namespace string
		overHTTP, apiKey          string
		rooms, except             []string
		volatile                  bool
	)
	c := &cobra.Command{
		Use:   "emit --redis URL|--config FILE|--http URL [--room ROOM ...] EVENT [JSON ...]",
		Short: "Publish an event as a backend would",
		Long: `Publish an event to the clients of every node, as a backend would.

Each argument is JSON; what is not JSON is sent as a string. Without a room the event goes to everyone in the namespace.
Put -- before arguments that begin with a dash.

With --http the event goes to the HTTP API of a gateway. The key is the one of --api-key, else the first of api.keys in
--config FILE or in CARILLON_API_KEYS.`,
		Example:               `  gateway emit --redis redis://127.0.0.1:6379 --room chat:lobby message '{"from":"shell","text":"hello"}'`,
		DisableFlagsInUseLine: true,
		Args:                  arguments(1, anyNumber),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case overHTTP != "" && (url != "" || key != ""):
				return withHelp(c, errors.New("--http goes without --redis and --key, which say how to publish on Redis"))
			case apiKey != "" && overHTTP == "":
				return withHelp(c, errors.New("--api-key goes with --http URL"))
			case overHTTP == "" && (url == "") == (file == ""):
				return withHelp(c, errors.New("which Redis? Give either --redis URL or --config FILE, or --http URL for the HTTP API"))
			case !strings.HasPrefix(namespace, "/"):
				return withHelp(c, fmt.Errorf("--namespace %q does not begin with /", namespace))
			case slices.Contains(rooms, "") || slices.Contains(except, ""):
				return withHelp(c, errors.New("a room has no name; leave --room out to reach everyone"))
			}
			if overHTTP != "" {
				e := httpEvent{
					Namespace: namespace, Rooms: rooms, All: len(rooms) == 0, Except: except, Event: args[0],
					Args: jsonArguments(args[1:]), Volatile: volatile,
				}
				return e.send(c.Context(), overHTTP, apiKey, file)
			}
			client, configured, err := redisFor(url, file)
			if err != nil {
				return err
			}
			defer client.Close()
			key = cmp.Or(key, configured)
			e := emitter.New(client, emitter.Config{Key: key, Namespace: namespace}).Except(except...)
			if len(rooms) > 0 {
				e = e.To(rooms...)
			}
			if volatile {
				e = e.Volatile()
			}
			err = e.Emit(c.Context(), args[0], jsonArguments(args[1:])...)
			if errors.Is(err, emitter.ErrReserved) {
				return err
			}
			return failed(err)
		},
	}
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return withHelp(c, fmt.Errorf("%w; put -- before arguments that begin with a dash", err))
	})
	flags := c.Flags()
	flags.StringVar(&url, "redis", "", "Redis `URL`")
	flags.StringVar(&file, "config", "", "configuration `file` that names the Redis, or with --http the key")
	flags.StringVar(&overHTTP, "http", "", "`URL` of a gateway's HTTP API, such as http://127.0.0.1:9092")
	flags.StringVar(&apiKey, "api-key", "", "with --http: the `key`, or a file that begins with it, as under api.keys")
	flags.StringVar(&key, "key", "", "channel prefix, adapter.`key` of the gateways; default the configuration's, else socket.io")
	flags.StringVar(&namespace, "namespace", "/", "namespace")
	flags.StringArrayVar(&rooms, "room", nil, "only to this `room`; repeat for several")
	flags.StringArrayVar(&except, "except", nil, "but not to this `room`; repeat for several")
	flags.BoolVar(&volatile, "volatile", false, "may be dropped for clients that are behind")
	return c
}

// spareNumbers keeps negative numbers among the arguments of emit from being taken for flags: with a space in front they
// are the same JSON, and no flag. What follows a flag is its value and stays as it is.
func spareNumbers(args []string) []string {
	if len(args) == 0 || args[0] != "emit" {
		return args
	}
	args = slices.Clone(args)
	for i := 1; i < len(args) && args[i] != "--"; i++ {
		switch {
		case strings.HasPrefix(args[i], "--"):
			if !strings.Contains(args[i], "=") && args[i] != "--volatile" {
				i++
			}
		case strings.HasPrefix(args[i], "-") && json.Valid([]byte(args[i])):
			args[i] = " " + args[i]
		}
	}
	return args
}

// redisFor returns a client for the Redis that the flags name, and the channel prefix in use there.
func redisFor(url, file string) (client redis.UniversalClient, key string, err error) {
	if url != "" {
		cfg := config.Default()
		cfg.Redis.URL = config.URL(url)
		client, err = gateway.RedisClient(cfg.Redis)
		return client, cfg.Adapter.Key, err
	}
	cfg, _, err := loadConfig(file)
	if err != nil {
		return nil, "", err
	}
	if !cfg.Redis.Configured() {
		return nil, "", errors.New("redis.url: the configuration names no Redis")
	}
	client, err = gateway.RedisClient(cfg.Redis)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", file, err)
	}
	return client, cfg.Adapter.Key, nil
}

// jsonArguments takes each text as JSON, or else as a string.
func jsonArguments(texts []string) []any {
	args := make([]any, len(texts))
	for i, text := range texts {
		if json.Valid([]byte(text)) {
			args[i] = json.RawMessage(text)
		} else {
			args[i] = text
		}
	}
	return args
}
