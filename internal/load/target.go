//go:build linux

package load

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// target is one server.
type target struct {
	at       netip.AddrPort
	loopback bool
	host     string // header Host
	request  string // request target with its query, but for the session's id
	tls      *tls.Config
}

// parseURL reads a server's URL. A path, which the official client takes for a namespace, is refused, and so is a query.
func parseURL(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, err
	case !slices.Contains([]string{"http", "https", "ws", "wss"}, u.Scheme):
		return nil, fmt.Errorf("%s: not http, https, ws or wss", text)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%s: names no host", text)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, fmt.Errorf("%s: more than a scheme, a host and a port; --path is that of the endpoint, clients join the namespace /", u.Redacted())
	}
	return u, nil
}

func newTarget(text string, o *Options) (target, error) {
	u, err := parseURL(text)
	if err != nil {
		return target{}, err
	}
	port := defaulted(u.Port(), "80")
	t := target{host: u.Host}
	if u.Scheme == "https" || u.Scheme == "wss" {
		port = defaulted(u.Port(), "443")
		t.tls = &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: o.Insecure, NextProtos: []string{"http/1.1"}}
	}
	a, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return target{}, err
	}
	t.at = netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), uint16(a.Port))
	t.loopback = t.at.Addr().IsLoopback() && t.at.Addr().Is4()
	query := url.Values{"EIO": {fmt.Sprint(o.EIO)}, "transport": {o.Transport}}
	if o.EIO == 3 {
		query.Set("b64", "1") // polling: no payloads of bytes
		if o.Token != "" {
			query.Set("token", o.Token)
		}
	}
	t.request = o.Path + "?" + query.Encode()
	return t, nil
}

// address returns the kernel's form of where the server is, of its own for each caller: package unix writes into it.
func (t *target) address() (family int, address unix.Sockaddr) {
	if t.at.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(t.at.Port()), Addr: t.at.Addr().As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(t.at.Port()), Addr: t.at.Addr().As16()}
}

func defaulted(text, usual string) string {
	if text == "" {
		return usual
	}
	return text
}
