package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tradewind.dev/tests/cluster/internal/layout"
)

const cgroupRoot = "/sys/fs/cgroup"

// needed are the controllers that kubelet refuses to start without.
var needed = []string{"cpu", "cpuset", "memory", "pids"}

// Unified says whether the machine has cgroup v2.
func Unified() bool {
	_, err := os.Stat(cgroupRoot + "/cgroup.controllers")
	return err == nil
}

func cgroupsUsable() error {
	if os.Geteuid() != 0 {
		return nil // nothing can be said, and root is asked for anyway
	}
	var offered []string
	if Unified() {
		text, _ := os.ReadFile(cgroupRoot + "/cgroup.controllers")
		offered = strings.Fields(string(text))
	} else {
		for _, hierarchy := range hierarchies() {
			offered = append(offered, filepath.Base(hierarchy))
		}
	}
	var missing []string
	for _, controller := range needed {
		if !slices.Contains(offered, controller) {
			missing = append(missing, controller)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("the cgroup controllers %s below %s (mount them, or start the container this runs in with them)", strings.Join(missing, ", "), cgroupRoot)
	}
	probe := filepath.Join(hierarchies()[0], fmt.Sprintf("%sprobe-%d", layout.Prefix, os.Getpid()))
	if err := os.Mkdir(probe, 0o755); err != nil {
		return fmt.Errorf("the right to make cgroups: %w", err)
	}
	return os.Remove(probe)
}

// hierarchies are the directories in which a cluster's cgroup is made: each
// mounted hierarchy of cgroup v1, or the single tree of v2.
func hierarchies() []string {
	if Unified() {
		return []string{cgroupRoot}
	}
	entries, _ := os.ReadDir(cgroupRoot)
	var found []string
	for _, entry := range entries {
		path := filepath.Join(cgroupRoot, entry.Name())
		// Links such as cpu -> cpu,cpuacct count: kubelet uses those names.
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			found = append(found, path)
		}
	}
	return found
}

// MakeCgroup creates a cluster's cgroup and one below it for each node.
func MakeCgroup(name string, nodes []string) error {
	if Unified() {
		return makeUnified(name, nodes)
	}
	for _, hierarchy := range hierarchies() {
		for _, path := range below(filepath.Join(hierarchy, name), nodes) {
			if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return fmt.Errorf("make cgroup: %w", err)
			}
			if filepath.Base(hierarchy) != "cpuset" {
				continue
			}
			// A v1 cpuset starts empty, and an empty one takes no process.
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				if err := copyFile(filepath.Join(hierarchy, file), filepath.Join(path, file)); err != nil {
					return fmt.Errorf("fill cgroup: %w", err)
				}
			}
		}
	}
	return nil
}

func below(path string, nodes []string) []string {
	paths := []string{path}
	for _, node := range nodes {
		paths = append(paths, filepath.Join(path, node))
	}
	return paths
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

// makeUnified creates the cgroups on cgroup v2, where a controller exists in a
// cgroup only if every cgroup above passes it on.
func makeUnified(name string, nodes []string) error {
	top := filepath.Join(cgroupRoot, name)
	if err := passOn(cgroupRoot); err != nil {
		return err
	}
	for _, path := range below(top, nodes) {
		if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make cgroup: %w", err)
		}
		if err := passOn(path); err != nil {
			return err
		}
	}
	return nil
}

// passOn enables in a cgroup's children whatever controllers it has itself.
func passOn(path string) error {
	text, err := os.ReadFile(filepath.Join(path, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("read cgroup: %w", err)
	}
	for _, controller := range strings.Fields(string(text)) {
		enable := func() error {
			return os.WriteFile(filepath.Join(path, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
		}
		err := enable()
		if errors.Is(err, syscall.EBUSY) && path == cgroupRoot {
			// In a container, the root of the visible tree is no true root:
			// it must hold no process before it may pass controllers on.
			if err = emptyRoot(); err == nil {
				err = enable()
			}
		}
		if err != nil && slices.Contains(needed, controller) {
			return fmt.Errorf("pass the cgroup controller %s on below %s: %w", controller, path, err)
		}
	}
	return nil
}

// emptyRoot moves the processes in the root of the tree into a leaf beside the
// clusters. The leaf outlives the clusters, as its processes do.
func emptyRoot() error {
	leaf := filepath.Join(cgroupRoot, "init")
	if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	text, err := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.procs"))
	if err != nil {
		return err
	}
	for _, process := range strings.Fields(string(text)) {
		err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte(process), 0o644)
		if err != nil && !errors.Is(err, syscall.ESRCH) && !errors.Is(err, syscall.EINVAL) {
			return fmt.Errorf("move process %s: %w", process, err)
		}
	}
	return nil
}

// RemoveCgroup removes a cluster's cgroups, which the death of its processes
// leaves behind. It waits a little for the last of them to be gone.
func RemoveCgroup(name string) error {
	var failure error
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		failure = nil
		for _, hierarchy := range hierarchies() {
			if err := removeTree(filepath.Join(hierarchy, name)); err != nil {
				failure = err
			}
		}
		if failure == nil {
			return nil
		}
	}
	return failure
}

// removeTree removes the directories of a cgroup, deepest first. Their files
// are the kernel's and go with them.
func removeTree(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(path, entry.Name())); err != nil {
				return err
			}
		}
	}
	if err := syscall.Rmdir(path); err != nil && !errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("remove cgroup %s: %w", path, err)
	}
	return nil
}

// Cgroups lists the names of the clusters' cgroups that exist.
func Cgroups() []string {
	var names []string
	for _, hierarchy := range hierarchies() {
		matches, _ := filepath.Glob(filepath.Join(hierarchy, layout.Prefix+"*"))
		for _, match := range matches {
			if name := filepath.Base(match); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}
