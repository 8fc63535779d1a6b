package layout

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Inside is where the cluster's directory appears to the cluster's own
// processes. It is short and fixed because paths of sockets end at 107 bytes,
// however deep the directory lies on the host.
const Inside = "/run/tradewind"

// VolumesPath is where a node keeps its local volumes.
const VolumesPath = "/var/lib/tradewind/volumes"

// VolumesPerNode is the number of local PersistentVolumes of each node.
const VolumesPerNode = 20

const specName = "cluster.json"

// Files names the files of a cluster below a root, which is the cluster's
// directory for the host and Inside for the cluster's own processes.
type Files struct{ Root string }

func (f Files) in(parts ...string) string {
	return filepath.Join(append([]string{f.Root}, parts...)...)
}

// Spec is the written specification, and what marks a cluster's directory.
func (f Files) Spec() string { return f.in(specName) }

// Control is the socket at which the supervisor takes requests.
func (f Files) Control() string { return f.in("control.sock") }

// Audit is the API server's audit log.
func (f Files) Audit() string { return f.in("audit.log") }

// AuditPolicy says what goes into the audit log.
func (f Files) AuditPolicy() string { return f.in("audit-policy.yaml") }

// Bin holds the cluster's own copies of the programs it runs.
func (f Files) Bin(program string) string { return f.in("bin", program) }

// Kubeconfig is the kubeconfig of one client.
func (f Files) Kubeconfig(client string) string { return f.in("kubeconfig", client) }

// Key and Certificate are the two halves of an identity.
func (f Files) Key(name string) string { return f.in("pki", name+".key") }

// Certificate is the public half of an identity.
func (f Files) Certificate(name string) string { return f.in("pki", name+".crt") }

// LogDir holds one file for each process.
func (f Files) LogDir() string { return f.in("log") }

// Log is the output of one process.
func (f Files) Log(process string) string { return f.in("log", process+".log") }

// Etcd is the store's data.
func (f Files) Etcd() string { return f.in("etcd") }

// Node is the directory of one node.
func (f Files) Node(name string, parts ...string) string {
	return f.in(append([]string{name}, parts...)...)
}

// Runtime is the socket of a node's container runtime.
func (f Files) Runtime(name string) string { return f.Node(name, "containerd.sock") }

// owned are the names that Remove takes away; anything else in the directory
// belongs to somebody else.
var owned = []string{specName, "control.sock", "audit-policy.yaml", "bin", "kubeconfig", "pki", "etcd"}

// Remove deletes what a cluster wrote into its directory, and the directory
// itself if nothing else is in it. With keepLogs it leaves the logs.
func (f Files) Remove(keepLogs bool) error {
	entries, err := os.ReadDir(f.Root)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var failures []error
	for _, entry := range entries {
		name := entry.Name()
		if isOwned(name) || !keepLogs && isLog(name) {
			failures = append(failures, os.RemoveAll(f.in(name)))
		}
	}
	if !keepLogs {
		_ = os.Remove(f.Root) // fails, as it should, if anything else is there
	}
	return errors.Join(failures...)
}

func isOwned(name string) bool {
	for _, own := range owned {
		if name == own {
			return true
		}
	}
	digits, isNode := strings.CutPrefix(name, "node")
	return isNode && digits != "" && strings.Trim(digits, "0123456789") == ""
}

func isLog(name string) bool {
	return name == "log" || strings.HasPrefix(name, "audit") && strings.HasSuffix(name, ".log")
}

// IsForeign says whether a directory holds files that no cluster put there,
// in which case no cluster should be started in it.
func IsForeign(dir string) (string, bool) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", false
	}
	for _, entry := range entries {
		if !isOwned(entry.Name()) && !isLog(entry.Name()) {
			return entry.Name(), true
		}
	}
	return "", false
}
