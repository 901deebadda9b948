package pattern

import (
	"net/netip"
	"strconv"
	"strings"
)

// parseAddress reads an IP address in the spellings that AWS's engine takes:
// four decimal numbers, or IPv6 in hexadecimal digits and colons only. An IPv4
// address mapped into IPv6 is the IPv4 address.
func parseAddress(text string) (netip.Addr, bool) {
	if text == "" || strings.Trim(text, "0123456789.") == "" {
		return parseIPv4(text)
	}
	if strings.Trim(text, "0123456789abcdefABCDEF:") != "" {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(text)
	return addr.Unmap(), err == nil
}

// parseIPv4 differs from netip in that it takes leading zeros, as the engine does.
func parseIPv4(text string) (netip.Addr, bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 4 {
		return netip.Addr{}, false
	}
	var b [4]byte
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return netip.Addr{}, false
		}
		b[i] = byte(n)
	}
	return netip.AddrFrom4(b), true
}

// parseCIDR reads a block of addresses. A block of one address is none to the
// engine: IPv4 takes up to 31 bits, IPv6 up to 127.
func parseCIDR(text string) (netip.Prefix, bool) {
	address, mask, found := strings.Cut(text, "/")
	addr, ok := parseAddress(address)
	length, err := strconv.Atoi(mask)
	if !found || !ok || err != nil || length < 0 || length >= addr.BitLen() {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr, length).Masked(), true
}
