package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"tradewind.dev/tests/cluster/internal/artifact"
	"tradewind.dev/tests/cluster/internal/control"
	"tradewind.dev/tests/cluster/internal/kubeapi"
	"tradewind.dev/tests/cluster/internal/layout"
	"tradewind.dev/tests/cluster/internal/render"
)

// errDied says that the supervisor ended before the cluster was usable.
var errDied = errors.New("the cluster died while it was starting")

// settle waits for a cluster that has been started to become usable, and does
// the parts of that which are done through its interfaces.
func settle(ctx context.Context, spec layout.Spec, options Options, w *watcher) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-w.died:
			cancel(errDied)
		case <-ctx.Done():
		}
	}()
	images := make(chan error, 1)
	go func() { images <- importAll(ctx, spec, firstImages(options.Cache)) }()

	err := step(options, "control plane", func() error { return awaitRunning(ctx, spec) })
	if err != nil {
		return explain(ctx, err)
	}
	api, err := kubeapi.New(spec.Server(), layout.Files{Root: spec.Dir})
	if err != nil {
		return err
	}
	err = step(options, "nodes, volumes and images", func() error {
		if err := applyAll(ctx, api, volumes(spec)); err != nil {
			return err
		}
		if err := <-images; err != nil {
			return err
		}
		// Applied any earlier, its pod would fail for want of an image and be
		// left alone for ten seconds.
		if err := applyAll(ctx, api, render.DNS()); err != nil {
			return err
		}
		return poll(ctx, func() bool { return readyNodes(ctx, api) == len(spec.Nodes) })
	})
	if err != nil {
		return explain(ctx, err)
	}
	err = step(options, "cluster DNS", func() error {
		return poll(ctx, func() bool { return dnsAvailable(ctx, api) })
	})
	return explain(ctx, err)
}

func step(options Options, name string, do func() error) error {
	shown := options.Output.Begin(name)
	err := do()
	shown.End(err)
	return err
}

// explain prefers the reason why everything was called off to its symptoms.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		if errors.Is(cause, context.DeadlineExceeded) {
			return errors.New("the cluster did not become usable in time (--timeout)")
		}
		return cause
	}
	return err
}

// firstImages are those that a node has from the start.
func firstImages(cache artifact.Cache) func(layout.Node) []string {
	return func(node layout.Node) []string {
		var archives []string
		for _, image := range artifact.Images {
			if image.Everywhere || node.Kind == layout.General {
				archives = append(archives, cache.Archive(image))
			}
		}
		return archives
	}
}

func volumes(spec layout.Spec) []render.Manifest {
	all := render.Storage()
	for _, node := range spec.Nodes {
		for number := range layout.VolumesPerNode {
			all = append(all, render.Volume(node, number))
		}
	}
	return all
}

// applyAll applies one manifest after the other. A server that has just begun
// to serve refuses some things for a moment, so each gets several tries.
func applyAll(ctx context.Context, api *kubeapi.Client, all []render.Manifest) error {
	for _, manifest := range all {
		var err error
		for range 50 {
			if err = api.Apply(ctx, manifest.Path, manifest.Body); err == nil || ctx.Err() != nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if err != nil {
			return fmt.Errorf("apply %s: %w", manifest.Path, err)
		}
	}
	return nil
}

func poll(ctx context.Context, holds func() bool) error {
	for !holds() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

func awaitRunning(ctx context.Context, spec layout.Spec) error {
	return poll(ctx, func() bool {
		reply, err := Ask(spec, control.Request{Action: control.Status})
		return err == nil && allUp(reply)
	})
}

// allUp says whether every process runs: that the supervisor has come to the
// end of its list means no more than that each is about to be started.
func allUp(reply control.Reply) bool {
	down := func(one control.Component) bool { return one.State != "up" }
	return reply.Phase == control.Running && len(reply.Components) > 0 && !slices.ContainsFunc(reply.Components, down)
}

func readyNodes(ctx context.Context, api *kubeapi.Client) int {
	var list struct {
		Items []struct {
			Status struct {
				Conditions []struct{ Type, Status string }
			}
		}
	}
	if api.Get(ctx, "/api/v1/nodes", &list) != nil {
		return 0
	}
	ready := 0
	for _, node := range list.Items {
		for _, condition := range node.Status.Conditions {
			if condition.Type == "Ready" && condition.Status == "True" {
				ready++
			}
		}
	}
	return ready
}

func dnsAvailable(ctx context.Context, api *kubeapi.Client) bool {
	var deployment struct {
		Status struct{ AvailableReplicas int }
	}
	err := api.Get(ctx, "/apis/apps/v1/namespaces/kube-system/deployments/coredns", &deployment)
	return err == nil && deployment.Status.AvailableReplicas > 0
}

// evidence is the end of the logs that are most likely to say what went wrong:
// the supervisor's, and those of components that keep restarting.
func evidence(spec layout.Spec) string {
	files := layout.Files{Root: spec.Dir}
	suspects := []string{"supervisor"}
	if reply, err := Ask(spec, control.Request{Action: control.Status}); err == nil {
		for _, component := range reply.Components {
			if component.Restarts > 0 || component.State != "up" {
				suspects = append(suspects, component.Name)
			}
		}
	}
	var text strings.Builder
	for _, name := range suspects {
		lines := lastLines(files.Log(name), 6)
		if len(lines) > 0 {
			fmt.Fprintf(&text, "\n  %s:\n    %s", name, strings.Join(lines, "\n    "))
		}
	}
	fmt.Fprintf(&text, "\nall logs are in %s until the next cluster up or down there", files.LogDir())
	return text.String()
}

func lastLines(path string, count int) []string {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.TrimSpace(line) == "" })
	return lines[max(0, len(lines)-count):]
}
