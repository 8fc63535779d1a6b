package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"tradewind.dev/tests/cluster/internal/artifact"
	"tradewind.dev/tests/cluster/internal/layout"
	"tradewind.dev/tests/cluster/internal/machine"
	"tradewind.dev/tests/cluster/internal/report"
)

// Options say what cluster to bring up.
type Options struct {
	Dir     string
	Nodes   []layout.Node
	Cache   artifact.Cache
	Timeout time.Duration
	With    int // process that the cluster does not outlive; 0: none
	Output  *report.Output
}

// programs are the names under which a cluster's copy of kube is called.
var programs = []string{
	"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler",
	"kubelet", "kube-proxy", "kubectl", "helm", "coredns",
}

// Up brings a cluster up. When ctx ends or anything fails, nothing of it is
// left but, after a failure, the logs.
func Up(ctx context.Context, options Options) (layout.Spec, error) {
	if err := Sweep(); err != nil {
		return layout.Spec{}, err
	}
	dir, err := Resolve(options.Dir)
	if err != nil {
		return layout.Spec{}, err
	}
	own, err := acquire(layout.ID(dir))
	if errors.Is(err, errTaken) {
		return layout.Spec{}, &RunningError{dir}
	}
	if err != nil {
		return layout.Spec{}, err
	}
	spec, watcher, err := launch(own, dir, options)
	if err != nil {
		own.remove()
		return spec, err
	}
	ctx, cancel := context.WithTimeout(ctx, options.Timeout)
	defer cancel()
	if err := settle(ctx, spec, options, watcher); err != nil {
		return spec, watcher.abandon(ctx, spec, err)
	}
	return spec, watcher.commit()
}

// launch prepares the directory and starts the watcher.
func launch(own *record, dir string, options Options) (layout.Spec, *watcher, error) {
	if err := own.write(dir, 0); err != nil {
		return layout.Spec{}, nil, err
	}
	if name, foreign := layout.IsForeign(dir); foreign {
		return layout.Spec{}, nil, fmt.Errorf("%s holds files of somebody else (%s): name an empty or new directory", dir, name)
	}
	spec, err := prepare(dir, options)
	if err != nil {
		return spec, nil, errors.Join(err, layout.Files{Root: dir}.Remove(false))
	}
	watcher, err := startWatcher(own, dir)
	if err != nil {
		return spec, nil, errors.Join(err, layout.Files{Root: dir}.Remove(false))
	}
	return spec, watcher, nil
}

// prepare fills the directory with all that the cluster needs from outside.
func prepare(dir string, options Options) (layout.Spec, error) {
	files := layout.Files{Root: dir}
	if err := files.Remove(false); err != nil {
		return layout.Spec{}, err
	}
	for _, path := range []string{files.LogDir(), filepath.Dir(files.Bin("kube"))} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return layout.Spec{}, err
		}
	}
	if err := installPrograms(files, options.Cache); err != nil {
		return layout.Spec{}, err
	}
	cpus, err := machine.CPUs()
	if err != nil {
		return layout.Spec{}, err
	}
	if err := layout.DivideCPUs(options.Nodes, cpus); err != nil {
		return layout.Spec{}, err
	}
	spec := layout.Spec{ID: layout.ID(dir), Dir: dir, Created: time.Now().UTC(), Nodes: options.Nodes, With: options.With}
	return spec, exclusively(func() error {
		used, err := machine.UsedRanges()
		if err != nil {
			return err
		}
		for _, other := range entries() {
			if written, err := layout.Read(other.dir); err == nil && other.id != spec.ID {
				used = append(used, written.Link.Prefix())
			}
		}
		if spec.Link, err = layout.ChooseLink(spec.ID, used); err != nil {
			return err
		}
		return spec.Write()
	})
}

// installPrograms gives the cluster programs of its own, so that neither a
// rebuild nor the removal of the cache disturbs it.
func installPrograms(files layout.Files, cache artifact.Cache) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for name, path := range map[string]string{"cluster": self, "kube": cache.Path("kube")} {
		if err := artifact.LinkOrCopy(path, files.Bin(name)); err != nil {
			return err
		}
	}
	for _, program := range programs {
		if err := os.Symlink("kube", files.Bin(program)); err != nil {
			return err
		}
	}
	return nil
}

// A watcher is the process that outlives "up" and guards the cluster.
type watcher struct {
	command  *exec.Cmd
	lifeline *os.File
	died     chan struct{} // closed when the cluster has died by itself
	gone     chan error    // the watcher's own end
}

func startWatcher(own *record, dir string) (*watcher, error) {
	files := layout.Files{Root: dir}
	output, err := os.OpenFile(files.Log("watch"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	theirs, lifeline, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	news, tell, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer tell.Close()
	command := exec.Command(files.Bin("cluster"), WatchCommand, dir)
	command.Dir = "/" // it must not hold the caller's directory busy
	command.Stdout, command.Stderr = output, output
	command.ExtraFiles = []*os.File{theirs, tell, own.file}
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return nil, err
	}
	own.file.Close() // the watcher has the lock now
	w := &watcher{command: command, lifeline: lifeline, died: make(chan struct{}), gone: make(chan error, 1)}
	go func() {
		_, _ = news.Read(make([]byte, 1))
		close(w.died)
	}()
	go func() { w.gone <- command.Wait() }()
	return w, nil
}

// commit leaves the cluster to its watcher.
func (w *watcher) commit() error {
	_, err := w.lifeline.Write([]byte{keepCluster})
	return errors.Join(err, w.lifeline.Close())
}

// abandon ends the cluster and waits until it is cleared away. The reason is
// returned together with what the logs say about it.
func (w *watcher) abandon(ctx context.Context, spec layout.Spec, reason error) error {
	if !errors.Is(ctx.Err(), context.Canceled) {
		reason = fmt.Errorf("%w%s", reason, evidence(spec))
		_, _ = w.lifeline.Write([]byte{keepLogs})
	}
	w.lifeline.Close()
	return errors.Join(reason, <-w.gone)
}
