// Package supervise is the inside of a cluster: it runs in the cluster's own
// mount, process and network namespace, starts every process there is and
// starts again those that end. When it dies, the namespace dies with it.
package supervise

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"tradewind.dev/tests/cluster/internal/control"
	"tradewind.dev/tests/cluster/internal/kubeapi"
	"tradewind.dev/tests/cluster/internal/layout"
	"tradewind.dev/tests/cluster/internal/machine"
	"tradewind.dev/tests/cluster/internal/pki"
	"tradewind.dev/tests/cluster/internal/render"
)

// Command is the hidden command under which this program runs Run.
const Command = "internal-supervise"

// Names of the control plane's components, as tests call them.
const (
	Etcd       = "etcd"
	APIServer  = "apiserver"
	Controller = "controller-manager"
	Scheduler  = "scheduler"
)

// supervisor owns the components of one cluster.
type supervisor struct {
	spec layout.Spec
	// mounts holds the mount namespace of each node.
	mounts map[string]*os.File

	mutex      sync.Mutex
	phase      string
	components []*component
}

// Run supervises the cluster whose directory is dir. It returns only if the
// cluster cannot be started.
func Run(dir string) error {
	spec, err := layout.Read(dir)
	if err != nil {
		return err
	}
	if err := isolate(dir); err != nil {
		return err
	}
	s := &supervisor{spec: spec, phase: "certificates", mounts: map[string]*os.File{}}
	listener, err := net.Listen("unix", render.Inside.Control())
	if err != nil {
		return err
	}
	go control.Serve(listener, s.handle)
	if err := s.start(); err != nil {
		return err
	}
	s.enter(control.Running)
	api, err := kubeapi.New(render.InnerServer(), render.Inside)
	if err != nil {
		return err
	}
	recycle(context.Background(), api)
	return nil
}

func (s *supervisor) start() error {
	if err := writeControl(s.spec); err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	s.enter("network")
	if err := makeNetwork(s.spec.Nodes); err != nil {
		return fmt.Errorf("network: %w", err)
	}
	s.enter("control plane")
	s.keep(Etcd, render.Etcd())
	s.keep(APIServer, render.APIServer())
	if err := s.startRuntimes(); err != nil {
		return err
	}
	if err := awaitUplink(s.spec.Link); err != nil {
		return fmt.Errorf("link to the host: %w", err)
	}
	// The controllers exit for good if they meet an API server without its
	// roles, so nothing else starts before it says that it is ready.
	if err := awaitAPI(); err != nil {
		return err
	}
	s.enter("nodes")
	s.keep(Controller, render.ControllerManager())
	s.keep(Scheduler, render.SchedulerCommand())
	for _, node := range s.spec.Nodes {
		number := strconv.Itoa(node.Index)
		s.keep("kubelet"+number, onNode(node, s.mounts[node.Name], render.KubeletCommand(node)))
		s.keep("kube-proxy"+number, onNode(node, s.mounts[node.Name], render.ProxyCommand(node)))
	}
	return nil
}

// startRuntimes brings the container runtimes up beside the API server: it
// takes a while to start, and images can be imported in the meantime.
func (s *supervisor) startRuntimes() error {
	names := make([]string, len(s.spec.Nodes))
	for i, node := range s.spec.Nodes {
		names[i] = node.Name
	}
	if err := machine.MakeCgroup(s.spec.Cgroup(), names); err != nil {
		return err
	}
	for _, node := range s.spec.Nodes {
		if err := writeNode(s.spec, node); err != nil {
			return err
		}
		mounts, err := prepareNode(node)
		if err != nil {
			return err
		}
		s.mounts[node.Name] = mounts
		s.keep("containerd"+strconv.Itoa(node.Index), onNode(node, mounts, render.ContainerdCommand(node)))
	}
	return nil
}

// writeControl writes certificates and all files of the control plane.
func writeControl(spec layout.Spec) error {
	files := render.Inside
	if err := pki.Make(spec, files); err != nil {
		return err
	}
	for path, mode := range map[string]os.FileMode{files.Etcd(): 0o700, filepath.Dir(files.Kubeconfig(pki.Admin)): 0o755} {
		if err := os.MkdirAll(path, mode); err != nil {
			return err
		}
	}
	servers := map[string]string{
		pki.Admin:      spec.Server(),
		pki.Controller: render.InnerServer(),
		pki.Scheduler:  render.InnerServer(),
		pki.Proxy:      render.InnerServer(),
	}
	for _, node := range spec.Nodes {
		servers[node.Name] = render.InnerServer()
	}
	for client, server := range servers {
		text, err := render.Kubeconfig(files, client, server)
		if err != nil {
			return err
		}
		if err := os.WriteFile(files.Kubeconfig(client), text, 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(files.AuditPolicy(), []byte(render.AuditPolicy), 0o644)
}

// awaitAPI waits for the API server to say that it is ready.
func awaitAPI() error {
	api, err := kubeapi.New(render.InnerServer(), render.Inside)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for !api.Ready(ctx) {
		if ctx.Err() != nil {
			return fmt.Errorf("the API server was not ready within two minutes")
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil
}

func (s *supervisor) enter(phase string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.phase = phase
	log.Printf("phase: %s", phase)
}

func (s *supervisor) keep(name string, command []string) {
	c := newComponent(name, render.Inside.Log(name), command)
	s.mutex.Lock()
	s.components = append(s.components, c)
	s.mutex.Unlock()
	go c.keep()
}

// handle answers one request from the host.
func (s *supervisor) handle(request control.Request) control.Reply {
	var err error
	if request.Action != control.Status {
		log.Printf("asked to %s %s", request.Action, request.Target)
		err = s.act(request)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	reply := control.Reply{Phase: s.phase}
	if err != nil {
		reply.Error = err.Error()
	}
	for _, c := range s.components {
		reply.Components = append(reply.Components, c.status())
	}
	return reply
}

func (s *supervisor) act(request control.Request) error {
	if request.Action == control.Cut || request.Action == control.Mend {
		for _, node := range s.spec.Nodes {
			if node.Name == request.Target {
				return plugIn(node.Name, request.Action == control.Mend)
			}
		}
		return fmt.Errorf("no node %q; there are node0 to %s", request.Target, s.spec.Nodes[len(s.spec.Nodes)-1].Name)
	}
	s.mutex.Lock()
	components := s.components
	s.mutex.Unlock()
	names := ""
	for _, c := range components {
		if c.name == request.Target {
			return c.act(request.Action)
		}
		names += " " + c.name
	}
	return fmt.Errorf("no component %q; there are:%s", request.Target, names)
}
