package main

// optional are loads again with an option that costs something. What has nothing beside it yet comes first.
func optional() []scenario {
	idle := always("connect --clients 5000 --hold 15s")
	echo := always("echo --clients 100")
	fixed := always("fanout --clients 1000 --rate 40")
	large := always("fanout --clients 1000 --rate 40 --size 2048")
	churn := always("churn --clients 100")
	memory := []figure{{field: "rss_per_conn_kb", text: "RSS KB per connection"}, {field: "handshake_cpu_s_per_k", text: "CPU ms per handshake"}}
	each := []figure{cpu(target{}), {field: "lat_p99_ms", text: "p99 ms"}}
	across := []figure{
		{field: "cross_p50_ms", text: "p50 ms between nodes"}, {field: "cross_p99_ms", text: "p99 ms between nodes"},
		{field: "cross_p999_ms", text: "p99.9 ms between nodes"}, cpu(target{}), {field: "aux_s_per_M", text: "of Redis alone"},
	}
	secure, recovers := setup{tls: true}, setup{recovery: true}
	return []scenario{
		{name: "idle-tls", title: "TLS: 5,000 idle connections", without: "idle", load: idle, setup: secure, peers: whole, figures: memory},
		{name: "echo-tls", title: "TLS: acknowledgements, 100 clients", without: "echo", load: echo, setup: secure, peers: whole,
			figures: []figure{{field: "req_s", text: "acknowledgements/s"}, cpu(target{})}},
		{name: "fixed-tls", title: "TLS: one to a room of 1,000, 40 times a second", without: "fixed", load: fixed, setup: secure, peers: whole, figures: each},
		{name: "fixed-recovery", title: "recovery: one to a room of 1,000, 40 times a second", without: "fixed", load: fixed, setup: recovers, peers: whole,
			figures: each},
		{name: "churn-recovery", title: "recovery: connect, join, leave, close", without: "churn", load: churn, setup: recovers, peers: whole,
			figures: []figure{{field: "cpu_s_per_M", text: "CPU µs per cycle"}}},
		{name: "large", title: "2 KiB to a room of 1,000, 40 times a second", load: large, peers: whole, figures: each},
		{name: "large-deflate", title: "deflate: 2 KiB to a room of 1,000, 40 times a second", without: "large", load: large, setup: setup{deflate: true},
			peers: whole, figures: each},
		{name: "latency-sharded", title: "sharded Pub/Sub: 2,000 publishes a second over two nodes", without: "cluster-latency", load: always(betweenNodes),
			setup: setup{redis: true, adapter: "sharded"}, nodes: two, peers: whole, figures: across},
		{name: "latency-streams", title: "streams: 2,000 publishes a second over two nodes", without: "cluster-latency", load: always(betweenNodes),
			setup: setup{redis: true, adapter: "streams"}, nodes: two, peers: whole, figures: across},
	}
}
