// Package layout decides every name, address and path of a cluster. All of
// them follow from the cluster's directory, so that any number of clusters can
// run on one machine and what one of them left behind can be told from what
// another is using.
package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Prefix starts the name of every cgroup that a cluster makes on the host.
const Prefix = "tradewind-"

// Kind says what a node is for.
type Kind string

const (
	// General nodes run whatever the scheduler places there.
	General Kind = "general"
	// Dedicated nodes hand out exclusive CPUs and carry a taint.
	Dedicated Kind = "dedicated"
)

// DedicatedKey is the key of both the label and the taint of dedicated nodes.
const DedicatedKey = "tradewind.dev/dedicated"

// DefaultNodes is the set of nodes a cluster has unless told otherwise.
const DefaultNodes = "general,dedicated,dedicated,dedicated,dedicated"

// Node is one machine of the cluster.
type Node struct {
	Index int    `json:"index"`
	Name  string `json:"name"`
	Kind  Kind   `json:"kind"`
	// CPUs are those the node's pods may use; Reserved are all others.
	CPUs     []int `json:"cpus"`
	Reserved []int `json:"reserved"`
}

// Spec is all that the processes of a cluster need to agree on. It is written
// to the cluster's directory once, before the first of them starts.
type Spec struct {
	ID      string    `json:"id"`
	Dir     string    `json:"dir"`
	Created time.Time `json:"created"`
	Link    Link      `json:"link"`
	Nodes   []Node    `json:"nodes"`
	With    int       `json:"with,omitempty"` // process that the cluster does not outlive; 0: none
}

// ID derives a cluster's short name from its directory.
func ID(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:4])
}

// Cgroup is the name of the cluster's cgroup, in every hierarchy.
func (s Spec) Cgroup() string { return Prefix + s.ID }

// HostInterface is the host's end of the pair that leads to the API server.
// Interface names end at 15 characters, which this stays below.
func (s Spec) HostInterface() string { return "tw-" + s.ID }

// Server is the URL at which the host reaches the API server.
func (s Spec) Server() string { return fmt.Sprintf("https://%s:%d", s.Link.Cluster, APIPort) }

// ParseNodes reads a list such as "general,dedicated".
func ParseNodes(list string) ([]Node, error) {
	var nodes []Node
	for i, word := range strings.Split(list, ",") {
		kind := Kind(strings.TrimSpace(word))
		if kind != General && kind != Dedicated {
			return nil, fmt.Errorf("node %d is %q: a node is either %q or %q", i, word, General, Dedicated)
		}
		nodes = append(nodes, Node{Index: i, Name: fmt.Sprintf("node%d", i), Kind: kind})
	}
	if len(nodes) > MaxNodes {
		return nil, fmt.Errorf("%d nodes asked for, %d at most", len(nodes), MaxNodes)
	}
	for _, node := range nodes {
		if node.Kind == General {
			return nodes, nil
		}
	}
	return nil, fmt.Errorf("no %q node in %q: cluster DNS has nowhere to run", General, list)
}

// DivideCPUs gives each node its share of the machine. Dedicated nodes get
// CPUs of their own from the end of the list for as long as there are any, and
// share one after that; general nodes share the rest.
func DivideCPUs(nodes []Node, cpus []int) error {
	if len(cpus) < 2 {
		return fmt.Errorf("the machine offers %d CPU; exclusive CPUs need at least 2", len(cpus))
	}
	dedicated := 0
	for _, node := range nodes {
		if node.Kind == Dedicated {
			dedicated++
		}
	}
	share := 1
	if dedicated > 0 {
		share = max(1, (len(cpus)-1)/(dedicated+1))
	}
	first := max(1, len(cpus)-dedicated*share)
	offered := len(cpus) - first
	given := 0
	for i := range nodes {
		var own []int
		if nodes[i].Kind == General {
			own = cpus[:first]
		} else {
			at := first + (given*share)%offered
			own = cpus[at : at+share]
			given++
		}
		if dedicated == 0 {
			own = cpus[1:]
		}
		nodes[i].CPUs = own
		nodes[i].Reserved = without(cpus, own)
	}
	return nil
}

func without(all, some []int) []int {
	drop := map[int]bool{}
	for _, cpu := range some {
		drop[cpu] = true
	}
	rest := []int{}
	for _, cpu := range all {
		if !drop[cpu] {
			rest = append(rest, cpu)
		}
	}
	return rest
}

// Write stores the specification in the cluster's directory.
func (s Spec) Write() error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(Files{s.Dir}.Spec(), append(text, '\n'), 0o644)
}

// Read loads the specification of the cluster whose files are below root.
func Read(root string) (Spec, error) {
	var spec Spec
	text, err := os.ReadFile(filepath.Join(root, specName))
	if err != nil {
		return spec, err
	}
	if err := json.Unmarshal(text, &spec); err != nil {
		return spec, fmt.Errorf("%s: %w", filepath.Join(root, specName), err)
	}
	return spec, nil
}
