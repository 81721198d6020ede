// Package redistest runs redis-server for tests: alone, with replicas, under a Sentinel, or as a Redis Cluster. Every server
// has a loopback address that stays its own while it is down, keeps its directory when it is started again, and is killed
// when the test or the tests' process ends.
//
//	s := redistest.Start(t)                        // empty, keeps nothing over a restart
//	s := redistest.Start(t, redistest.Durable...)  // keeps everything that it has acknowledged
//	s.Kill(); s.Start()
//	c := redistest.StartCluster(t, 3, 3)           // three masters, and a replica of each
package redistest
