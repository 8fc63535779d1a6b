package supervise

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tradewind.dev/tests/cluster/internal/layout"
	"tradewind.dev/tests/cluster/internal/render"
)

func TestVolumeNamesAreReadBack(t *testing.T) {
	node := layout.Node{Name: "node3"}
	got, number, ok := parseVolumeName(render.VolumeName(node, 7))
	if !ok || got != "node3" || number != 7 {
		t.Fatal(got, number, ok)
	}
	for _, foreign := range []string{"pvc-1", "local-node0", "local-node0-x", "local-node0-99", "local-../etc-1"} {
		if _, _, ok := parseVolumeName(foreign); ok {
			t.Errorf("%s passed for a volume of this program", foreign)
		}
	}
}

func TestAFreshVolumeIsEmptyAndOpenToAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "volume")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "old"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := freshVolume(dir); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(dir)
	left, _ := os.ReadDir(dir)
	if err != nil || info.Mode().Perm() != 0o777 || len(left) != 0 {
		t.Fatal(info, left, err)
	}
}

func TestEveryNodeKnowsTheWayToEveryOther(t *testing.T) {
	nodes, err := layout.ParseNodes("general,dedicated,dedicated")
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range nodes {
		commands := nodeNetwork(node, nodes)
		for _, other := range nodes {
			route := "route add " + other.Pods() + " via " + other.Address()
			if slices.Contains(commands, route) == (other.Name == node.Name) {
				t.Errorf("%s to %s: %v", node.Name, other.Name, commands)
			}
		}
	}
	all := strings.Join(controlNetwork(nodes), "\n")
	if strings.Count(all, "netns add") != 3 {
		t.Error(all)
	}
}

func TestNodeCommandsEnterBothNamespaces(t *testing.T) {
	mounts, err := os.Open("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	defer mounts.Close()
	got := onNode(layout.Node{Name: "node1"}, mounts, []string{"kubelet"})
	want := []string{"nsenter", fmt.Sprintf("--mount=/proc/%d/fd/%d", os.Getpid(), mounts.Fd()), "--net=/run/netns/node1", "--", "kubelet"}
	if !slices.Equal(got, want) {
		t.Error(got)
	}
}
