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
	if err := awaitFile(ctx, socket); err != nil {
		return fmt.Errorf("%s: containerd: %w", node.Name, err)
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

func awaitFile(ctx context.Context, path string) error {
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}
