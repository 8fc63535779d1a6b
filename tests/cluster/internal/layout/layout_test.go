package layout

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestNamesFollowFromTheDirectory(t *testing.T) {
	one, other := Spec{ID: ID("/a")}, Spec{ID: ID("/b")}
	if one.ID == other.ID || one.Cgroup() == other.Cgroup() {
		t.Fatal("two directories share a name")
	}
	if ID("/a") != one.ID {
		t.Fatal("one directory has two names")
	}
	if name := one.HostInterface(); len(name) > 15 {
		t.Fatalf("%q is too long for an interface", name)
	}
}

func TestParseNodes(t *testing.T) {
	nodes, err := ParseNodes(DefaultNodes)
	if err != nil {
		t.Fatal(err)
	}
	if len(nodes) != 5 || nodes[0].Name != "node0" || nodes[0].Kind != General || nodes[4].Kind != Dedicated {
		t.Fatalf("%+v", nodes)
	}
	for list, complaint := range map[string]string{
		"general,other": `node 1 is "other"`,
		"dedicated":     "cluster DNS has nowhere to run",
		strings.Repeat("general,", MaxNodes) + "general": "at most",
	} {
		if _, err := ParseNodes(list); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%.20s: got %v", list, err)
		}
	}
}

func TestDivideCPUs(t *testing.T) {
	for _, test := range []struct {
		nodes string
		cpus  []int
		own   [][]int
	}{
		{"general,dedicated,dedicated", []int{0, 1}, [][]int{{0}, {1}, {1}}},
		{"general,dedicated,dedicated", []int{0, 1, 2, 3}, [][]int{{0, 1}, {2}, {3}}},
		{"general,dedicated", []int{0, 1, 2, 3, 4}, [][]int{{0, 1, 2}, {3, 4}}},
		{"general,general", []int{0, 1, 2}, [][]int{{1, 2}, {1, 2}}},
		{"general,dedicated,dedicated,dedicated", []int{0, 1, 2}, [][]int{{0}, {1}, {2}, {1}}},
	} {
		nodes, err := ParseNodes(test.nodes)
		if err != nil {
			t.Fatal(err)
		}
		if err := DivideCPUs(nodes, test.cpus); err != nil {
			t.Fatal(err)
		}
		for i, node := range nodes {
			if !reflect.DeepEqual(node.CPUs, test.own[i]) {
				t.Errorf("%s of %v: %s has %v, not %v", test.nodes, test.cpus, node.Name, node.CPUs, test.own[i])
			}
			if len(node.CPUs)+len(node.Reserved) != len(test.cpus) || len(node.Reserved) == 0 {
				t.Errorf("%s reserves %v of %v", node.Name, node.Reserved, test.cpus)
			}
		}
	}
	if err := DivideCPUs(nil, []int{0}); err == nil {
		t.Error("one CPU was enough")
	}
}

func TestChooseLinkAvoidsWhatIsInUse(t *testing.T) {
	first, err := ChooseLink("00000000", nil)
	if err != nil {
		t.Fatal(err)
	}
	if first.Cluster.String() != "10.213.0.1" || first.Host.String() != "10.213.0.2" {
		t.Fatalf("%+v", first)
	}
	second, err := ChooseLink("00000000", []netip.Prefix{first.Prefix()})
	if err != nil || second.Prefix().Overlaps(first.Prefix()) {
		t.Fatal(second, err)
	}
	_, err = ChooseLink("00000000", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	if err == nil || !strings.Contains(err.Error(), "no free address range") {
		t.Fatal(err)
	}
}

func TestSpecSurvivesWriting(t *testing.T) {
	nodes, _ := ParseNodes("general,dedicated")
	link, _ := ChooseLink("0000ffff", nil)
	spec := Spec{ID: "0000ffff", Dir: t.TempDir(), Link: link, Nodes: nodes}
	if err := spec.Write(); err != nil {
		t.Fatal(err)
	}
	got, err := Read(spec.Dir)
	if err != nil || !reflect.DeepEqual(got, spec) {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestRemoveSparesWhatIsNotTheClusters(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cluster")
	for _, name := range []string{"node0", "pki", "log", "nodes-of-mine"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if name, foreign := IsForeign(dir); !foreign || name != "nodes-of-mine" {
		t.Fatal(name, foreign)
	}
	if err := (Files{dir}).Remove(true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "log")); err != nil {
		t.Fatal("the logs are gone")
	}
	if err := (Files{dir}).Remove(false); err != nil {
		t.Fatal(err)
	}
	left, _ := os.ReadDir(dir)
	if len(left) != 1 || left[0].Name() != "nodes-of-mine" {
		t.Fatal(left)
	}
}
