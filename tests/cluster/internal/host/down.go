package host

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"tradewind.dev/tests/cluster/internal/layout"
	"tradewind.dev/tests/cluster/internal/machine"
)

// Down ends the cluster in dir and returns when nothing of it is left. It says
// whether there was one.
func Down(dir string) (bool, error) {
	dir, err := Resolve(dir)
	if err != nil {
		return false, err
	}
	one, ok := lookup(layout.ID(dir))
	if ok {
		return true, end(one)
	}
	// The logs of an attempt that failed may still be there.
	if _, foreign := layout.IsForeign(dir); foreign {
		return false, nil
	}
	return false, layout.Files{Root: dir}.Remove(false)
}

// DownAll ends every cluster of this machine and returns their directories.
func DownAll() ([]string, error) {
	var dirs []string
	var failures []error
	for _, one := range entries() {
		dirs = append(dirs, one.dir)
		failures = append(failures, end(one))
	}
	failures = append(failures, Sweep())
	return dirs, errors.Join(failures...)
}

// end ends one cluster, dead or alive.
func end(one entry) error {
	const patience = 30 * time.Second
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if !one.alive {
			return clearStale(one)
		}
		if one.watcher > 0 {
			// Safe against reuse of the id: only that process holds the lock.
			_ = syscall.Kill(one.watcher, syscall.SIGTERM)
		}
		again, ok := lookup(one.id)
		if !ok {
			return nil
		}
		one = again
	}
	return fmt.Errorf("the cluster in %s did not end within %s", one.dir, patience)
}

// clearStale clears away after a cluster whose watcher was killed.
func clearStale(one entry) error {
	own, err := acquire(one.id)
	if errors.Is(err, errTaken) {
		return nil // somebody else is at it, or has begun a new one
	}
	if err != nil {
		return err
	}
	return clear(own, one.dir, false)
}

// Sweep clears away after all clusters that died unseen.
func Sweep() error {
	var failures []error
	known := map[string]bool{}
	for _, one := range entries() {
		if one.alive {
			known[one.id] = true
			continue
		}
		failures = append(failures, clearStale(one))
	}
	for _, name := range machine.Cgroups() {
		id := strings.TrimPrefix(name, layout.Prefix)
		if _, recorded := lookup(id); !recorded && !known[id] && !strings.HasPrefix(id, "probe-") {
			failures = append(failures, machine.RemoveCgroup(name))
		}
	}
	return errors.Join(failures...)
}
