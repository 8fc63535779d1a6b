package supervise

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"tradewind.dev/tests/cluster/internal/layout"
)

const (
	bridge = "nodes"
	// Uplink is the cluster's end of the pair that leads to the host.
	Uplink = "host"
	// plug is a node's own interface.
	plug = "eth0"
)

// batch runs many ip commands in one process. With a node, they run in that
// node's network namespace.
func batch(node string, commands []string) error {
	arguments := []string{"-batch", "-"}
	if node != "" {
		arguments = append([]string{"-netns", node}, arguments...)
	}
	command := exec.Command("ip", arguments...)
	command.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("ip: %w: %s", err, bytes.TrimSpace(output))
	}
	return nil
}

// controlNetwork joins all nodes by a bridge in the supervisor's namespace,
// which routes each node's pods to that node.
func controlNetwork(nodes []layout.Node) []string {
	commands := []string{
		"link set lo up",
		"link add " + bridge + " type bridge",
		"addr add " + layout.ControlAddress + "/24 dev " + bridge,
		"link set " + bridge + " up",
	}
	for _, node := range nodes {
		commands = append(commands,
			"netns add "+node.Name,
			fmt.Sprintf("link add %s type veth peer name %s netns %s", node.Name, plug, node.Name),
			fmt.Sprintf("link set %s master %s up", node.Name, bridge),
			fmt.Sprintf("route add %s via %s", node.Pods(), node.Address()),
		)
	}
	return commands
}

// nodeNetwork gives a node its address and routes to the others' pods.
func nodeNetwork(node layout.Node, nodes []layout.Node) []string {
	commands := []string{
		"link set lo up",
		"addr add " + node.Address() + "/24 dev " + plug,
		"link set " + plug + " up",
		"route add default via " + layout.ControlAddress,
	}
	for _, other := range nodes {
		if other.Name != node.Name {
			commands = append(commands, fmt.Sprintf("route add %s via %s", other.Pods(), other.Address()))
		}
	}
	return commands
}

func makeNetwork(nodes []layout.Node) error {
	if err := batch("", controlNetwork(nodes)); err != nil {
		return err
	}
	for _, node := range nodes {
		if err := batch(node.Name, nodeNetwork(node, nodes)); err != nil {
			return err
		}
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
}

// awaitUplink takes up the interface that the watcher, who alone can see both
// sides, moves into this namespace.
func awaitUplink(link layout.Link) error {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := batch("", []string{
			fmt.Sprintf("addr replace %s/%d dev %s", link.Cluster, layout.LinkBits, Uplink),
			"link set " + Uplink + " up",
		})
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// plugIn connects a node to the bridge or cuts it off.
func plugIn(node string, connected bool) error {
	state := "down"
	if connected {
		state = "up"
	}
	return batch("", []string{"link set " + node + " " + state})
}
