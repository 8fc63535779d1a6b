package render

import (
	"encoding/json"
	"strings"
	"testing"

	"tradewind.dev/tests/cluster/internal/layout"
	"tradewind.dev/tests/cluster/internal/pki"
)

func spec(t *testing.T) layout.Spec {
	t.Helper()
	nodes, err := layout.ParseNodes("general,dedicated")
	if err != nil {
		t.Fatal(err)
	}
	if err := layout.DivideCPUs(nodes, []int{0, 1}); err != nil {
		t.Fatal(err)
	}
	link, err := layout.ChooseLink("0a0b0c0d", nil)
	if err != nil {
		t.Fatal(err)
	}
	return layout.Spec{ID: "0a0b0c0d", Nodes: nodes, Link: link}
}

func TestKubeletSeparatesCPUs(t *testing.T) {
	s := spec(t)
	for i, want := range []struct{ reserved, strict, taints string }{
		{"1", "true", "null"},
		{"0", "false", layout.DedicatedKey},
	} {
		var got struct {
			ReservedSystemCPUs      string
			CPUManagerPolicyOptions map[string]string
			CgroupRoot              string
			RegisterWithTaints      []struct{ Key string }
		}
		if err := json.Unmarshal(Kubelet(s, s.Nodes[i]), &got); err != nil {
			t.Fatal(err)
		}
		if got.ReservedSystemCPUs != want.reserved || got.CPUManagerPolicyOptions["strict-cpu-reservation"] != want.strict {
			t.Errorf("node%d: %+v", i, got)
		}
		if isTainted := len(got.RegisterWithTaints) == 1; isTainted != (want.taints != "null") {
			t.Errorf("node%d: taints %v", i, got.RegisterWithTaints)
		}
		if got.CgroupRoot != "/tradewind-0a0b0c0d/"+s.Nodes[i].Name {
			t.Errorf("node%d: cgroup %s", i, got.CgroupRoot)
		}
	}
}

func TestOnlyDedicatedNodesAreLabelled(t *testing.T) {
	s := spec(t)
	label := "--node-labels=" + layout.DedicatedKey + "=true"
	if strings.Contains(strings.Join(KubeletCommand(s.Nodes[0]), " "), label) {
		t.Error("the general node is labelled")
	}
	if !strings.Contains(strings.Join(KubeletCommand(s.Nodes[1]), " "), label) {
		t.Error("the dedicated node is not labelled")
	}
}

func TestPodNetworkIsJSON(t *testing.T) {
	s := spec(t)
	var got map[string]any
	if err := json.Unmarshal(PodNetwork(s.Nodes[1]), &got); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(PodNetwork(s.Nodes[1])), "10.244.1.0/24") {
		t.Error("the node's pods have another range")
	}
}

func TestContainerdNamesTheNodesOwnFiles(t *testing.T) {
	text := string(Containerd(spec(t).Nodes[1]))
	for _, part := range []string{"/run/tradewind/node1/containerd.sock", PauseImage, "restrict_oom_score_adj = true"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
}

func TestManifestsHavePathsThatEndInTheirName(t *testing.T) {
	s := spec(t)
	all := append(DNS(), Storage()...)
	all = append(all, Volume(s.Nodes[0], 3))
	for _, manifest := range all {
		name := manifest.Path[strings.LastIndex(manifest.Path, "/")+1:]
		if !strings.HasPrefix(manifest.Path, "/api") || !strings.Contains(string(manifest.Body), "\n  name: "+name+"\n") {
			t.Errorf("%s does not lead to:\n%s", manifest.Path, manifest.Body)
		}
		if strings.Contains(string(manifest.Body), "{{") {
			t.Errorf("%s is not filled in", manifest.Path)
		}
	}
}

func TestAPIServerKeepsAnAuditLog(t *testing.T) {
	line := strings.Join(APIServer(), " ")
	if !strings.Contains(line, "--audit-log-path=/run/tradewind/audit.log") || !strings.Contains(AuditPolicy, "level: Metadata") {
		t.Error(line)
	}
}

func TestKubeconfigHoldsItsCertificates(t *testing.T) {
	s := spec(t)
	files := layout.Files{Root: t.TempDir()}
	if err := pki.Make(s, files); err != nil {
		t.Fatal(err)
	}
	text, err := Kubeconfig(files, pki.Admin, s.Server())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), s.Server()) || strings.Contains(string(text), files.Root) {
		t.Error(string(text))
	}
}
