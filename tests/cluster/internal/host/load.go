package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"tradewind.dev/tests/cluster/internal/child"
	"tradewind.dev/tests/cluster/internal/control"
	"tradewind.dev/tests/cluster/internal/layout"
)

// Load imports image archives on all nodes.
func Load(ctx context.Context, spec layout.Spec, archives []string) error {
	absolute := make([]string, len(archives))
	for i, archive := range archives {
		path, err := filepath.Abs(archive)
		if err != nil {
			return err
		}
		if _, err := os.Stat(path); err != nil {
			return err
		}
		absolute[i] = path
	}
	return importAll(ctx, spec, func(layout.Node) []string { return absolute })
}

// importAll imports on every node, several nodes at once, the archives that it
// is to have.
func importAll(ctx context.Context, spec layout.Spec, archives func(layout.Node) []string) error {
	slots := make(chan struct{}, runtime.NumCPU()+1)
	failures := make([]error, len(spec.Nodes))
	var nodes sync.WaitGroup
	for i, node := range spec.Nodes {
		nodes.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			for _, archive := range archives(node) {
				if failures[i] = importImage(ctx, spec, node, archive); failures[i] != nil {
					return
				}
			}
		})
	}
	nodes.Wait()
	return errors.Join(failures...)
}

// importImage imports one archive on one node. The runtime's socket is named
// by its directory's descriptor, since paths of sockets must be short.
func importImage(ctx context.Context, spec layout.Spec, node layout.Node, archive string) error {
	socket := layout.Files{Root: spec.Dir}.Runtime(node.Name)
	if err := awaitListener(ctx, "containerd of "+node.Name, socket, runtimePatience); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(socket))
	if err != nil {
		return err
	}
	defer dir.Close()
	command := exec.CommandContext(ctx, "ctr", "--address", "/proc/self/fd/3/"+filepath.Base(socket),
		"--namespace", "k8s.io", "images", "import", archive)
	command.ExtraFiles = []*os.File{dir}
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := child.Run(command); err != nil {
		return fmt.Errorf("%s: import %s: %w: %s", node.Name, filepath.Base(archive), err, bytes.TrimSpace(output.Bytes()))
	}
	return nil
}

// runtimePatience bounds the wait for a container runtime that has just been
// started, or is being started again.
const runtimePatience = time.Minute

// awaitListener waits until somebody listens on the socket at path. Its file
// says nothing about that: it is there before the first connection is taken,
// and stays when the process that made it is killed.
func awaitListener(ctx context.Context, what, path string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for begun := time.Now(); ; {
		connection, err := control.Dial(path)
		if err == nil {
			return connection.Close()
		}
		select {
		case <-ctx.Done():
			waited := time.Since(begun).Round(time.Millisecond)
			return fmt.Errorf("%s does not listen on %s, waited %s: %w (last answer: %w)", what, path, waited, ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
