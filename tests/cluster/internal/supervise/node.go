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

// prepareNode makes the node's mount namespace and returns the open file that
// keeps it alive. Binding the namespace to a path would be the usual way, but
// kernels that number namespaces per CPU refuse that every so often.
func prepareNode(node layout.Node) (*os.File, error) {
	command := exec.Command("nsenter", "--net="+filepath.Join(networkPins, node.Name), "--",
		"unshare", "--mount", "--propagation", "slave", "--",
		render.Inside.Bin("cluster"), PrepareCommand, node.Name)
	var complaints bytes.Buffer
	command.Stderr = &complaints
	hold, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	prepared, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	defer func() { _ = command.Wait() }()
	defer hold.Close()
	if _, err := prepared.Read(make([]byte, 1)); err != nil {
		_ = command.Wait() // for the rest of the complaints
		return nil, fmt.Errorf("%s: %s", node.Name, bytes.TrimSpace(complaints.Bytes()))
	}
	// Neither nsenter nor unshare forks, so it is still the same process.
	return os.Open(fmt.Sprintf("/proc/%d/ns/mnt", command.Process.Pid))
}

// onNode makes a command line run in a node's namespaces. The usual
// "ip netns exec" would not do: it mounts a fresh /sys, without the cgroups.
func onNode(node layout.Node, mounts *os.File, command []string) []string {
	return append([]string{
		"nsenter",
		fmt.Sprintf("--mount=/proc/%d/fd/%d", os.Getpid(), mounts.Fd()),
		"--net=" + filepath.Join(networkPins, node.Name),
		"--",
	}, command...)
}
