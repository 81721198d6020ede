//go:build linux

package load

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/url"
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

func newTarget(text string, o *Options) (target, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return target{}, err
	}
	port := u.Port()
	t := target{host: u.Host}
	switch u.Scheme {
	case "http", "ws":
		port = defaulted(port, "80")
	case "https", "wss":
		port = defaulted(port, "443")
		t.tls = &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: o.Insecure, NextProtos: []string{"http/1.1"}}
	default:
		return target{}, fmt.Errorf("%s: not http, https, ws or wss", text)
	}
	if u.Hostname() == "" {
		return target{}, fmt.Errorf("%s: names no host", text)
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
