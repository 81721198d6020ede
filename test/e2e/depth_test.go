package e2e

import (
	"strings"
	"testing"

	"github.com/carillon-io/carillon/test/program"
)

func TestDepth_WhatARuleWrapsReachesTheOtherNode(t *testing.T) {
	t.Parallel()
	const rule = `
  "/deep":
    rules:
      - event: wrap
        do: [{broadcast: {event: wrapped, args: [{from: "${sid}", data: [{in: ["${args[0]}"]}]}]}}]
`
	url := startRedis(t)
	var addresses []string
	for _, name := range []string{"node a", "node b"} {
		n := launchNodeWith(t, name, url, "ping_interval: 20s", rule)
		n.Await(func() bool { return program.Answers200("http://" + n.ops + "/readyz") })
		addresses = append(addresses, "http://"+n.address)
	}
	runJS(t, "depth", "NODES="+strings.Join(addresses, ","))
}
