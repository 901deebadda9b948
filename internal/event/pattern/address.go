package pattern

import (
	"net/netip"
	"strconv"
	"strings"
)

// parseAddress reads an IP address in the forms that AWS's engine accepts:
// four decimal numbers, or IPv6 with only hexadecimal digits and colons. An
// IPv4 address mapped into IPv6 is the IPv4 address.
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

// parseIPv4 accepts leading zeros, as AWS's engine does and netip does not.
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

// parseCIDR reads a block of addresses. AWS's engine accepts no block of a
// single address: prefixes have at most 31 bits in IPv4 and 127 in IPv6.
func parseCIDR(text string) (netip.Prefix, bool) {
	address, mask, found := strings.Cut(text, "/")
	addr, ok := parseAddress(address)
	length, err := strconv.Atoi(mask)
	if !found || !ok || err != nil || length < 0 || length >= addr.BitLen() {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr, length).Masked(), true
}
