package machine

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os/exec"
)

// UsedRanges lists the address ranges that the machine's routes lead to, apart
// from the default route.
func UsedRanges() ([]netip.Prefix, error) {
	output, err := exec.Command("ip", "-json", "-4", "route", "show", "table", "all").Output()
	if err != nil {
		return nil, fmt.Errorf("ip route show: %w", err)
	}
	return parseRoutes(output)
}

func parseRoutes(output []byte) ([]netip.Prefix, error) {
	var routes []struct {
		Destination string `json:"dst"`
	}
	if len(output) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(output, &routes); err != nil {
		return nil, fmt.Errorf("ip route show: %w", err)
	}
	var used []netip.Prefix
	for _, route := range routes {
		if prefix, err := netip.ParsePrefix(route.Destination); err == nil && prefix.Bits() > 0 {
			used = append(used, prefix)
		} else if address, err := netip.ParseAddr(route.Destination); err == nil {
			used = append(used, netip.PrefixFrom(address, address.BitLen()))
		}
	}
	return used, nil
}
