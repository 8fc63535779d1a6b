package layout

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
)

// Addresses inside a cluster's network namespaces. They are the same in every
// cluster, since no packet with one of them ever reaches the host.
const (
	// APIPort is where the API server listens.
	APIPort = 6443
	// ControlAddress is the control plane, as the nodes see it.
	ControlAddress = "10.212.0.1"
	// NodeRange is the network that joins the nodes.
	NodeRange = "10.212.0.0/24"
	// PodRange holds one /24 for each node.
	PodRange = "10.244.0.0/16"
	// ServiceRange holds the virtual addresses of Services.
	ServiceRange = "10.96.0.0/16"
	// ServiceAddress is the API server's own Service.
	ServiceAddress = "10.96.0.1"
	// DNSAddress is the Service of cluster DNS.
	DNSAddress = "10.96.0.10"
	// MaxNodes is bounded by NodeRange.
	MaxNodes = 200
)

// linkRange is where the host's links to its clusters come from: these are the
// only addresses of a cluster that the host itself gets to see.
var linkRange = netip.MustParsePrefix("10.213.0.0/16")

// LinkRange is the range of which every cluster takes four addresses.
func LinkRange() string { return linkRange.String() }

// Address is the node's address on NodeRange.
func (n Node) Address() string { return fmt.Sprintf("10.212.0.%d", 11+n.Index) }

// Pods is the node's part of PodRange.
func (n Node) Pods() string { return fmt.Sprintf("10.244.%d.0/24", n.Index) }

// Link is the point-to-point network between the host and one cluster.
type Link struct {
	Host    netip.Addr `json:"host"`
	Cluster netip.Addr `json:"cluster"`
}

// LinkBits is the prefix length of every link.
const LinkBits = 30

// Prefix is the whole network of the link.
func (l Link) Prefix() netip.Prefix {
	return netip.PrefixFrom(l.Cluster, LinkBits).Masked()
}

func linkAt(index uint32) Link {
	base := linkRange.Addr().As4()
	start := binary.BigEndian.Uint32(base[:]) + index*4
	at := func(offset uint32) netip.Addr {
		var raw [4]byte
		binary.BigEndian.PutUint32(raw[:], start+offset)
		return netip.AddrFrom4(raw)
	}
	return Link{Cluster: at(1), Host: at(2)}
}

// ChooseLink picks the link that the cluster's id points at, or the next one
// that overlaps nothing in use.
func ChooseLink(id string, used []netip.Prefix) (Link, error) {
	seed, err := strconv.ParseUint(id, 16, 32)
	if err != nil {
		return Link{}, fmt.Errorf("cluster id %q is not hexadecimal", id)
	}
	links := uint32(1) << (LinkBits - linkRange.Bits())
	for step := range links {
		link := linkAt((uint32(seed) + step) % links)
		if !overlaps(link.Prefix(), used) {
			return link, nil
		}
	}
	return Link{}, fmt.Errorf("no free address range: every /%d of %s overlaps a route of this machine (ip route show)", LinkBits, linkRange)
}

func overlaps(prefix netip.Prefix, used []netip.Prefix) bool {
	for _, other := range used {
		if other.Overlaps(prefix) {
			return true
		}
	}
	return false
}
