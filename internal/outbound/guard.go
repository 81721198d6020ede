package outbound

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// ErrPrivate: the address is not a public one, and only those are allowed.
var ErrPrivate = errors.New("not a public address; allow_private permits it")

// notPublic are networks that netip has no question for. From the registries of special-purpose addresses (RFC 6890).
var notPublic = prefixes(
	"0.0.0.0/8",       // this network
	"100.64.0.0/10",   // between a provider and its customers
	"192.0.0.0/24",    // protocols
	"192.0.2.0/24",    // documentation, so the next two
	"198.51.100.0/24", //
	"203.0.113.0/24",  //
	"198.18.0.0/15",   // measuring
	"240.0.0.0/4",     // reserved, and the broadcast address
	"100::/64",        // discarded
	"2001::/23",       // protocols, Teredo among them
	"2001:db8::/32",   // documentation
	"3fff::/20",       // documentation
	"5f00::/16",       // segment routing
	"64:ff9b:1::/48",  // translation inside
	"fec0::/10",       // site-local, as it was
)

// translated are networks of IPv6 with an IPv4 address in them, and where in the 16 bytes that begins.
var translated = []struct {
	netip.Prefix

	at int
}{
	{netip.MustParsePrefix("::/96"), 12},        // compatible, as it was
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, // NAT64
	{netip.MustParsePrefix("2002::/16"), 2},     // 6to4
}

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

// IsPublic reports whether an address is one of the public Internet. An IPv4 address inside an IPv6 one is judged as
// itself.
func IsPublic(a netip.Addr) bool {
	a = a.WithZone("").Unmap()
	if !a.IsValid() || !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	if a.Is4() {
		return true
	}
	bytes := a.As16()
	for _, t := range translated {
		if t.Contains(a) && !IsPublic(netip.AddrFrom4([4]byte(bytes[t.at:t.at+4]))) {
			return false
		}
	}
	return true
}

// onlyPublic is a net.Dialer's Control that refuses all other addresses, once names are resolved.
func onlyPublic(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("outbound: %w", ErrPrivate)
	}
	if !IsPublic(to.Addr()) {
		return fmt.Errorf("outbound: dial %s: %w", to.Addr(), ErrPrivate)
	}
	return nil
}

func dialer(allowPrivate bool) *net.Dialer {
	d := &net.Dialer{Timeout: dialTimeout}
	if !allowPrivate {
		d.Control = onlyPublic
	}
	return d
}
