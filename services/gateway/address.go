package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// trustedProxies are the networks whose X-Forwarded-For entries are believed.
type trustedProxies []netip.Prefix

// parseTrustedProxies reads networks ("10.0.0.0/8") and single addresses.
func parseTrustedProxies(list []string) (trustedProxies, error) {
	var proxies trustedProxies
	for _, text := range list {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		if prefix, err := netip.ParsePrefix(text); err == nil {
			proxies = append(proxies, prefix.Masked())
			continue
		}
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("trusted proxy %q is neither an address nor a network", text)
		}
		proxies = append(proxies, netip.PrefixFrom(addr, addr.BitLen()))
	}
	return proxies, nil
}

func (p trustedProxies) contains(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// clientAddress walks X-Forwarded-For from the nearest hop outwards and stops
// at the first address that no trusted proxy vouches for. Reading it from the
// left would let any client choose its own address, and with it its rate limit.
func (p trustedProxies) clientAddress(r *http.Request) string {
	peer := parseHost(r.RemoteAddr)
	if !peer.IsValid() {
		return ""
	}
	if !p.contains(peer) {
		return peer.String()
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	client := peer
	for _, hop := range slices.Backward(hops) {
		hop := parseHost(strings.TrimSpace(hop))
		if !hop.IsValid() {
			break
		}
		client = hop
		if !p.contains(hop) {
			break
		}
	}
	return client.String()
}

// limitAddress is what a guest's calls are counted by: the address, or the /64
// network of an IPv6 address, all of which one subscriber owns.
func limitAddress(client string) string {
	addr, err := netip.ParseAddr(client)
	if err != nil || addr.Is4() {
		return client
	}
	prefix, err := addr.Prefix(subscriberBits)
	if err != nil {
		return client
	}
	return prefix.String()
}

// subscriberBits is the size of the network that providers give one IPv6 subscriber.
const subscriberBits = 64

// parseHost reads an address with or without a port; the zero Addr means neither.
func parseHost(text string) netip.Addr {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}
