package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/vishvananda/netlink"
)

// makeNetwork makes the bridge with the node's address, before the first pod
// needs it, since the API server listens there.
func makeNetwork(ctx context.Context) error {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = Bridge
	bridge := &netlink.Bridge{LinkAttrs: attributes}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("make bridge %s: %w", Bridge, err)
	}
	_, subnet, err := net.ParseCIDR(PodNetwork)
	if err != nil {
		return fmt.Errorf("parse the pods' network: %w", err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(NodeIP).To4(), Mask: subnet.Mask}}
	if err := netlink.AddrAdd(bridge, address); err != nil {
		return fmt.Errorf("give bridge %s the address %s: %w", Bridge, NodeIP, err)
	}
	// An address of its own: a bridge without one takes the lowest of its ports',
	// and pods would have to learn a new one with each that starts.
	if err := netlink.LinkSetHardwareAddr(bridge, net.HardwareAddr{0x0a, 0x58, 0x0a, 0xf4, 0x00, 0x01}); err != nil {
		return fmt.Errorf("set the hardware address of bridge %s: %w", Bridge, err)
	}
	if err := netlink.LinkSetUp(bridge); err != nil {
		return fmt.Errorf("start bridge %s: %w", Bridge, err)
	}
	return addFirewallRules(ctx)
}

// cleanNetwork removes the bridge and the pods' ends of it, and waits for the
// latter: they go with their network namespaces, a moment after those.
func cleanNetwork() error {
	bridge, err := netlink.LinkByName(Bridge)
	if _, notFound := errors.AsType[netlink.LinkNotFoundError](err); notFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find bridge %s: %w", Bridge, err)
	}
	if bridge.Type() != "bridge" {
		return fmt.Errorf("remove bridge %s: a network interface of that name is a %s and not ours; rename it", Bridge, bridge.Type())
	}
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list network interfaces: %w", err)
	}
	for _, link := range links {
		if link.Attrs().MasterIndex != bridge.Attrs().Index || link.Type() != "veth" {
			continue
		}
		if err := netlink.LinkDel(link); err != nil && !gone(link) {
			return fmt.Errorf("remove network interface %s: %w", link.Attrs().Name, err)
		}
	}
	if err := netlink.LinkDel(bridge); err != nil {
		return fmt.Errorf("remove bridge %s: %w", Bridge, err)
	}
	return nil
}

// gone tells whether an interface goes by itself within a moment.
func gone(link netlink.Link) bool {
	for range 20 {
		if _, err := netlink.LinkByIndex(link.Attrs().Index); err != nil {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}
