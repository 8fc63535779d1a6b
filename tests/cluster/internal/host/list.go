package host

import (
	"time"

	"tradewind.dev/tests/cluster/internal/control"
	"tradewind.dev/tests/cluster/internal/layout"
)

// A Summary is one line of the list of clusters.
type Summary struct {
	Dir        string              `json:"dir"`
	State      string              `json:"state"`
	Server     string              `json:"server,omitempty"`
	Kubeconfig string              `json:"kubeconfig,omitempty"`
	Created    time.Time           `json:"created"`
	Nodes      []layout.Node       `json:"nodes,omitempty"`
	Components []control.Component `json:"components,omitempty"`
}

// List describes the running clusters.
func List() []Summary {
	list := []Summary{}
	for _, one := range entries() {
		if !one.alive {
			continue
		}
		list = append(list, describe(one.dir))
	}
	return list
}

func describe(dir string) Summary {
	summary := Summary{Dir: dir, State: "starting"}
	spec, err := layout.Read(dir)
	if err != nil {
		return summary
	}
	files := layout.Files{Root: dir}
	summary.Server, summary.Created, summary.Nodes = spec.Server(), spec.Created, spec.Nodes
	summary.Kubeconfig = files.Kubeconfig("admin")
	reply, err := Ask(spec, control.Request{Action: control.Status})
	if err == nil {
		summary.State, summary.Components = reply.Phase, reply.Components
	}
	return summary
}

// Ask sends a request to a cluster's supervisor.
func Ask(spec layout.Spec, request control.Request) (control.Reply, error) {
	return control.Call(layout.Files{Root: spec.Dir}.Control(), request)
}
