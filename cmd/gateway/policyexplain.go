package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/carillon-io/carillon/internal/gateway"
	"github.com/carillon-io/carillon/internal/policytest"
)

func newPolicyExplain() *cobra.Command {
	var (
		file, auth, claims string
		headers, query     []string
		x                  policytest.Case
	)
	c := &cobra.Command{
		Use:   "explain --config FILE [flags] EVENT [JSON ...]",
		Short: "Say which rule decides an event, and why",
		Long: `Say which rule decides an event, a connect or a disconnect: each condition with the values it is made of, why the rules
before it did not decide, what would be done, and the acknowledgement. Nothing is started and nothing is sent.

Each argument is JSON; what is not JSON is a string. Put -- before arguments that begin with a dash.`,
		Example: `  gateway policy explain --config carillon.yaml --room chat:1 typing chat:1
  gateway policy explain --config carillon.yaml --claims '{"sub":"ann"}' --namespace /tenant-acme --connect`,
		DisableFlagsInUseLine: true,
		Args:                  arguments(0, anyNumber),
		RunE: func(c *cobra.Command, args []string) error {
			if file == "" {
				return withHelp(c, errors.New("which rules? Give --config FILE"))
			}
			if (len(args) > 0) == (x.Connect || x.Disconnect != "") || x.Connect && x.Disconnect != "" {
				return withHelp(c, errors.New("give one of EVENT, --connect and --disconnect REASON"))
			}
			if !strings.HasPrefix(x.Namespace, "/") {
				return withHelp(c, fmt.Errorf("--namespace %q does not begin with /", x.Namespace))
			}
			var err error
			if x.Auth, err = jsonObject("--auth", auth); err != nil {
				return withHelp(c, err)
			}
			if x.Claims, err = jsonObject("--claims", claims); err != nil {
				return withHelp(c, err)
			}
			if x.Headers, err = pairs("--header", ":", headers); err != nil {
				return withHelp(c, err)
			}
			if x.Query, err = pairs("--query", "=", query); err != nil {
				return withHelp(c, err)
			}
			if len(args) > 0 {
				x.Event, x.Args = args[0], jsonArguments(args[1:])
			}
			cfg, _, err := loadConfig(file)
			if err != nil {
				return err
			}
			tester, err := gateway.NewTester(cfg)
			if err != nil {
				return err
			}
			d, err := policytest.Decide(c.Context(), tester, &x)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(c.OutOrStdout(), d.Explanation())
			return failed(err)
		},
	}
	flags := c.Flags()
	flags.StringVar(&file, "config", "", "configuration `file`")
	flags.StringVar(&x.Namespace, "namespace", "/", "namespace")
	flags.BoolVar(&x.Connect, "connect", false, "explain a connect instead of an event")
	flags.StringVar(&x.Disconnect, "disconnect", "", "explain a disconnect with this `reason` instead of an event")
	flags.StringVar(&auth, "auth", "", "what came with CONNECT, a `JSON` object")
	flags.StringVar(&claims, "claims", "", "claims of a verified token, a `JSON` object")
	flags.StringVar(&x.Token, "token", "", "a `token` to verify, instead of claims")
	flags.StringArrayVar(&x.Rooms, "room", nil, "the socket is in this `room`; repeat for several")
	flags.StringArrayVar(&headers, "header", nil, "`name: value` of the first request; repeat for several")
	flags.StringArrayVar(&query, "query", nil, "`name=value` of the first request; repeat for several")
	flags.StringVar(&x.IP, "ip", "192.0.2.1", "the client's address")
	flags.StringVar(&x.SID, "sid", policytest.DefaultSID, "the socket's id")
	return c
}

// jsonObject reads the value of a flag; nil when it is not given.
func jsonObject(flag, text string) (map[string]any, error) {
	if text == "" {
		return nil, nil
	}
	var members map[string]any
	if err := json.Unmarshal([]byte(text), &members); err != nil || members == nil {
		return nil, fmt.Errorf("%s is no JSON object", flag)
	}
	return members, nil
}

// pairs reads names and values out of the values of a flag.
func pairs(flag, separator string, texts []string) (map[string]string, error) {
	values := make(map[string]string, len(texts))
	for _, text := range texts {
		name, value, ok := strings.Cut(text, separator)
		if !ok || name == "" {
			return nil, fmt.Errorf("%s %q has no %q", flag, text, separator)
		}
		values[name] = strings.TrimSpace(value)
	}
	return values, nil
}
