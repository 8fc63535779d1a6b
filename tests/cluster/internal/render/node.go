package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"text/template"

	"tradewind.dev/tests/cluster/internal/layout"
	"tradewind.dev/tests/cluster/internal/machine"
	"tradewind.dev/tests/cluster/internal/pki"
)

// PauseImage holds the namespaces of every pod.
const PauseImage = "tradewind.dev/pause:1"

// Containerd is the configuration of a node's container runtime. Each node has
// /run and /var/lib of its own, so most paths are the usual ones.
func Containerd(node layout.Node) []byte {
	return fill(containerdTemplate, map[string]string{
		"Socket": Inside.Runtime(node.Name),
		"Pause":  PauseImage,
		"CNI":    Inside.Node(node.Name, "cni"),
	})
}

// Where a machine lacks CAP_SYS_RESOURCE, as many containers do, no process may
// lower its OOM score; restrict_oom_score_adj keeps runc from dying of that.
var containerdTemplate = template.Must(template.New("containerd").Parse(`version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]

[grpc]
  address = "{{.Socket}}"

[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd-opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{{.Pause}}"
  restrict_oom_score_adj = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{{.CNI}}"
`))

// PodNetwork joins a node's pods by a bridge. Pods keep their addresses all
// the way to pods of other nodes, for which Routes there lead back here.
func PodNetwork(node layout.Node) []byte {
	return fill(podNetworkTemplate, map[string]string{"Pods": node.Pods()})
}

var podNetworkTemplate = template.Must(template.New("pod network").Parse(`{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "cni0",
      "isGateway": true,
      "ipMasq": false,
      "hairpinMode": true,
      "ipam": {
        "type": "host-local",
        "dataDir": "/var/lib/cni/networks",
        "ranges": [[{"subnet": "{{.Pods}}"}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`))

// Kubelet is the configuration of a node's kubelet.
//
// A dedicated node reserves all CPUs but its own, which makes its own the only
// ones it can hand out exclusively; its other pods still run on the reserved
// ones, beside the pinned pod. A general node is strict about its reservation,
// so that its pods keep away from the CPUs of dedicated nodes.
func Kubelet(spec layout.Spec, node layout.Node) []byte {
	type object map[string]any
	taints := []object{}
	if node.Kind == layout.Dedicated {
		taints = append(taints, object{"key": layout.DedicatedKey, "value": "true", "effect": "NoSchedule"})
	}
	text, err := json.MarshalIndent(object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"address":    node.Address(),
		"authentication": object{
			"anonymous": object{"enabled": false},
			"webhook":   object{"enabled": true},
			"x509":      object{"clientCAFile": Inside.Certificate(pki.CA)},
		},
		"authorization":               object{"mode": "Webhook"},
		"tlsCertFile":                 Inside.Certificate(node.Name),
		"tlsPrivateKeyFile":           Inside.Key(node.Name),
		"cgroupDriver":                "cgroupfs",
		"cgroupRoot":                  "/" + spec.Cgroup() + "/" + node.Name,
		"failCgroupV1":                false,
		"failSwapOn":                  false,
		"containerRuntimeEndpoint":    "unix://" + Inside.Runtime(node.Name),
		"clusterDNS":                  []string{layout.DNSAddress},
		"clusterDomain":               "cluster.local",
		"resolvConf":                  Inside.Node(node.Name, "resolv.conf"),
		"volumePluginDir":             "/var/lib/kubelet/volumeplugins",
		"registerWithTaints":          taints,
		"cpuManagerPolicy":            "static",
		"cpuManagerPolicyOptions":     map[string]string{"strict-cpu-reservation": strconv.FormatBool(node.Kind == layout.General)},
		"reservedSystemCPUs":          machine.FormatCPUs(node.Reserved),
		"evictionHard":                object{"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
		"imageGCHighThresholdPercent": 100,
		// Looking less often saves idle time that tests would rather have.
		"syncFrequency":             "5m",
		"nodeStatusUpdateFrequency": "20s",
		"volumeStatsAggPeriod":      "10m",
		"fileCheckFrequency":        "0s",
		"httpCheckFrequency":        "0s",
		"enableProfilingHandler":    false,
		// A process that a test kills again and again comes back each time.
		"crashLoopBackOff": object{"maxContainerRestartPeriod": "1s"},
	}, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("kubelet configuration: %v", err)) // plain values always encode
	}
	return append(text, '\n')
}

// KubeletCommand is the command line of a node's kubelet.
func KubeletCommand(node layout.Node) []string {
	command := []string{
		Inside.Bin("kubelet"),
		"--config=" + Inside.Node(node.Name, "kubelet.json"),
		"--kubeconfig=" + Inside.Kubeconfig(node.Name),
		"--hostname-override=" + node.Name,
		"--node-ip=" + node.Address(),
		"--housekeeping-interval=30s",
	}
	if node.Kind == layout.Dedicated {
		command = append(command, "--node-labels="+layout.DedicatedKey+"=true")
	}
	return command
}

// ContainerdCommand is the command line of a node's container runtime.
func ContainerdCommand(node layout.Node) []string {
	return []string{"containerd", "--config=" + Inside.Node(node.Name, "containerd.toml"), "--log-level=warn"}
}

// ProxyCommand is the command line of a node's kube-proxy. It leaves alone
// those limits of connection tracking that belong to the whole machine.
func ProxyCommand(node layout.Node) []string {
	return []string{
		Inside.Bin("kube-proxy"),
		"--kubeconfig=" + Inside.Kubeconfig(pki.Proxy),
		"--hostname-override=" + node.Name,
		"--cluster-cidr=" + layout.PodRange,
		"--proxy-mode=iptables",
		"--bind-address=" + node.Address(),
		"--healthz-bind-address=" + node.Address(),
		"--metrics-bind-address=127.0.0.1",
		"--conntrack-max-per-core=0",
		"--conntrack-min=0",
		"--conntrack-tcp-timeout-established=0",
		"--conntrack-tcp-timeout-close-wait=0",
		"--iptables-min-sync-period=200ms",
		"--iptables-sync-period=10m",
	}
}

// ResolvConf is what pods with a host's DNS policy see.
func ResolvConf() []byte { return []byte("nameserver " + layout.DNSAddress + "\n") }

func fill(t *template.Template, values any) []byte {
	var text bytes.Buffer
	if err := t.Execute(&text, values); err != nil {
		panic(fmt.Sprintf("%s: %v", t.Name(), err)) // templates and values are both of this package
	}
	return text.Bytes()
}
