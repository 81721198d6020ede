package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// trustedProxies are the networks whose word about the client is believed.
type trustedProxies []netip.Prefix

// client returns the client's address and whether it came over TLS. A trusted peer's X-Forwarded-For is read from the right, and
// the first address outside the trusted networks is the client's: what stands further left, anybody may have written.
func (p trustedProxies) client(r *http.Request) (address string, secure bool) {
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		peer = r.RemoteAddr
	}
	if !p.contains(peer) {
		return peer, r.TLS != nil
	}
	address = peer
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, ok := parseHop(hops[i])
		if !ok {
			break // what a trusted proxy could not name is not guessed at
		}
		address = hop
		if !p.contains(hop) {
			break
		}
	}
	proto := r.Header.Get("X-Forwarded-Proto")
	return address, r.TLS != nil || strings.EqualFold(proto, "https") || strings.EqualFold(proto, "wss")
}

func (p trustedProxies) contains(host string) bool {
	address, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, prefix := range p {
		if prefix.Contains(address.Unmap()) {
			return true
		}
	}
	return false
}

// parseHop reads one address of X-Forwarded-For, with or without a port.
func parseHop(text string) (string, bool) {
	text = strings.TrimSpace(text)
	if address, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return address.Unmap().String(), true
	}
	if address, err := netip.ParseAddrPort(text); err == nil {
		return address.Addr().Unmap().String(), true
	}
	return "", false
}
