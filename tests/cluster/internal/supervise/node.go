package supervise

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"tradewind.dev/tests/cluster/internal/layout"
	"tradewind.dev/tests/cluster/internal/render"
)

// PrepareCommand is the hidden command under which this program runs
// PrepareNode.
const PrepareCommand = "internal-node"

// writeNode lays out a node's directory.
func writeNode(spec layout.Spec, node layout.Node) error {
	for _, dir := range []string{"lib", "log", "cni"} {
		if err := os.MkdirAll(render.Inside.Node(node.Name, dir), 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string][]byte{
		"cni/pods.conflist": render.PodNetwork(node),
		"containerd.toml":   render.Containerd(node),
		"kubelet.json":      render.Kubelet(spec, node),
		"resolv.conf":       render.ResolvConf(),
	} {
		if err := os.WriteFile(render.Inside.Node(node.Name, name), text, 0o644); err != nil {
			return err
		}
	}
	for number := range layout.VolumesPerNode {
		if err := freshVolume(volumeDir(node.Name, number)); err != nil {
			return err
		}
	}
	return nil
}

// prepareNode makes the node's mount namespace and pins it.
func prepareNode(node layout.Node) error {
	pin := filepath.Join(mountPins, node.Name)
	if err := os.WriteFile(pin, nil, 0o644); err != nil {
		return err
	}
	command := exec.Command("nsenter", "--net="+filepath.Join(networkPins, node.Name), "--",
		"unshare", "--mount="+pin, "--propagation", "slave", "--",
		render.Inside.Bin("cluster"), PrepareCommand, node.Name)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", node.Name, err, bytes.TrimSpace(output))
	}
	return nil
}

// onNode makes a command line run in a node's namespaces. The usual
// "ip netns exec" would not do: it mounts a fresh /sys, without the cgroups.
func onNode(node layout.Node, command []string) []string {
	return append([]string{
		"nsenter",
		"--mount=" + filepath.Join(mountPins, node.Name),
		"--net=" + filepath.Join(networkPins, node.Name),
		"--",
	}, command...)
}
