package e2e

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/test/certtest"
	"github.com/carillon-io/carillon/test/program"
)

const forwardedRules = `
namespaces: {"/": {rules: [{event: ip, ack: ["${ip}"]}]}}
`

// The client's address and HTTP/2 on its way through the usual fronts. The client forges an address of its own, and
// connects from another one than the front, which alone is trusted.
func TestFronts_TheClientsAddressAndHTTP2(t *testing.T) {
	t.Parallel()
	n := node{address: program.FreeAddress(t), ops: program.FreeAddress(t)}
	n.Program = start(t, "gateway", gatewayBinary, "serve", "--config", program.WriteFile(t, "gateway.yaml", fmt.Sprintf(
		"server: {address: %q, trusted_proxies: [127.0.0.1/32]}\nops: {address: %q}\ndrain: {delay: 0s, window: 0s}\n", n.address, n.ops)+forwardedRules))
	n.Await(func() bool { return program.Answers200("http://" + n.ops + "/readyz") })
	certificate := certtest.New(t, "front")
	file := program.WriteFile(t, "front.pem", string(certificate.Cert)+string(certificate.Key))
	for name, front := range map[string]string{
		"haproxy": startSecureHAProxy(t, file, n),
		"nginx":   startSecureNginx(t, file, n),
	} {
		for version, protocols := range map[int][]string{1: {"http/1.1"}, 2: {"h2"}} {
			t.Run(fmt.Sprintf("%s HTTP/%d", name, version), func(t *testing.T) {
				dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
				transport := &http.Transport{
					DialContext:       dialer.DialContext,
					TLSClientConfig:   &tls.Config{RootCAs: certificate.Pool(), NextProtos: protocols},
					ForceAttemptHTTP2: version == 2,
				}
				t.Cleanup(transport.CloseIdleConnections)
				c := &pollingClient{t: t, http: http.Client{Transport: transport}, url: "https://" + front + "/socket.io/?EIO=4&transport=polling"}
				if got := c.ask("ip"); got != `["127.0.0.2"]` {
					t.Errorf("the gateway sees %s", got)
				}
				if c.version != version {
					t.Errorf("spoken was HTTP/%d", c.version)
				}
			})
		}
	}
}

// HAProxy's recipe for Node's servers: the cookie that carries the session's id is prefixed with the server's name.
func TestFronts_HAProxyWithTheCookieOfNode(t *testing.T) {
	t.Parallel()
	backend := "backend carillon\n  balance roundrobin\n  cookie io prefix nocache\n"
	for i := range 2 {
		n := node{address: program.FreeAddress(t), ops: program.FreeAddress(t)}
		n.Program = start(t, fmt.Sprintf("gateway %d", i), gatewayBinary, "serve", "--config", program.WriteFile(t, "gateway.yaml", fmt.Sprintf(
			"server: {address: %q, cookie: io}\nops: {address: %q}\ndrain: {delay: 0s, window: 0s}\n", n.address, n.ops)+forwardedRules))
		n.Await(func() bool { return program.Answers200("http://" + n.ops + "/readyz") })
		backend += fmt.Sprintf("  server node%d %s cookie node%d\n", i, n.address, i)
	}
	front := startHAProxy(t, backend)
	for range 10 {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{}
		t.Cleanup(transport.CloseIdleConnections)
		c := &pollingClient{t: t, http: http.Client{Jar: jar, Transport: transport}, url: front + "/socket.io/?EIO=4&transport=polling"}
		if got := c.ask("ip"); got != `["127.0.0.1"]` {
			t.Errorf("answered %s", got)
		}
	}
}

// pollingClient is a client of one namespace over polling.
type pollingClient struct {
	t       *testing.T
	http    http.Client
	url     string
	version int // of HTTP, as it was spoken last
}

// ask connects, sends one event and returns what it is acknowledged with.
func (c *pollingClient) ask(event string) string {
	c.t.Helper()
	_, opened, _ := strings.Cut(c.do("GET", c.url, ""), `"sid":"`)
	sid, _, _ := strings.Cut(opened, `"`)
	session := c.url + "&sid=" + sid
	c.do("POST", session, "40")
	if got := c.do("GET", session, ""); !strings.HasPrefix(got, "40{") {
		c.t.Fatalf("CONNECT was answered %q", got)
	}
	c.do("POST", session, `420["`+event+`"]`)
	answer, ok := strings.CutPrefix(c.do("GET", session, ""), "430")
	if !ok {
		c.t.Fatalf("%s was answered %q", event, answer)
	}
	return answer
}

func (c *pollingClient) do(method, url, body string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	response, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		c.t.Fatalf("%s: %s %q %v", method, response.Status, text, err)
	}
	c.version = response.ProtoMajor
	return string(text)
}

func startSecureHAProxy(t *testing.T, certificate string, n node) string {
	t.Helper()
	address := program.FreeAddress(t)
	startHAProxy(t, fmt.Sprintf("frontend secure\n  bind %s ssl crt %s alpn h2,http/1.1\n  option forwardfor\n  default_backend carillon\n"+
		"backend carillon\n  server node %s\n", address, certificate, n.address))
	return address
}

func startSecureNginx(t *testing.T, certificate string, n node) string {
	t.Helper()
	address := program.FreeAddress(t)
	startNginx(t, fmt.Sprintf(`
server {
	listen 8000;
	listen %s ssl http2;
	ssl_certificate %s;
	ssl_certificate_key %s;
	location / {
		proxy_pass http://%s;
		proxy_http_version 1.1;
		proxy_set_header Host $http_host;
		proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
		proxy_buffering off;
	}
}
`, address, certificate, certificate, n.address))
	return address
}
