package supervise

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"tradewind.dev/tests/cluster/internal/layout"
	"tradewind.dev/tests/cluster/internal/render"
)

// networkPins is where "ip netns" keeps the nodes' network namespaces, on a
// /run that only the cluster sees.
const networkPins = "/run/netns"

// mount is the system call with its errors made readable.
func mount(source, target, kind string, flags uintptr, options string) error {
	if err := syscall.Mount(source, target, kind, flags, options); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	return nil
}

// isolate turns the fresh mount namespace of the supervisor into one where
// nothing that a component writes to /run or /tmp gets out. The cluster's
// directory appears at layout.Inside.
func isolate(dir string) error {
	if err := os.Chdir(dir); err != nil {
		return err
	}
	// Mounts of the host still arrive, and can still be undone there, but
	// none of the cluster's get out.
	if err := mount("", "/", "", syscall.MS_REC|syscall.MS_SLAVE, ""); err != nil {
		return err
	}
	const inert = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC
	if err := mount("proc", "/proc", "proc", inert, ""); err != nil {
		return err
	}
	if err := coverRun(); err != nil {
		return err
	}
	if err := mount("tmpfs", "/tmp", "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=1777"); err != nil {
		return err
	}
	return os.Chdir(layout.Inside)
}

// coverRun gives the namespace an empty /run with the working directory, which
// the new mount may well hide, bound into it.
func coverRun() error {
	if err := mount("tmpfs", "/run", "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=0755"); err != nil {
		return err
	}
	if err := mount("", "/run", "", syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := os.Mkdir(layout.Inside, 0o755); err != nil {
		return err
	}
	return mount(".", layout.Inside, "", syscall.MS_BIND|syscall.MS_REC, "")
}

// tunables are the kernel settings that kubelet insists on. They belong to the
// whole machine and would stay behind, so each node is shown a file with the
// wanted value instead, and the machine is left alone.
var tunables = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// PrepareNode runs in the fresh mount namespace and the network namespace of a
// node. With a /run, /var/lib and /var/log of its own, every node can have its
// files where the programs expect them, some of which cannot be told otherwise.
func PrepareNode(name string) error {
	if err := os.Chdir(layout.Inside); err != nil {
		return err
	}
	for source, target := range map[string]string{"lib": "/var/lib", "log": "/var/log"} {
		if err := mount(render.Inside.Node(name, source), target, "", syscall.MS_BIND, ""); err != nil {
			return err
		}
	}
	if err := coverRun(); err != nil {
		return err
	}
	for name, value := range tunables {
		if err := disguise("/proc/sys/"+name, value); err != nil {
			return err
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return err
	}
	// The namespace lasts as long as this process, until the supervisor has
	// taken hold of it and says so by closing the pipe.
	fmt.Println("prepared")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// disguise makes a kernel setting read as if it had a value.
func disguise(setting, value string) error {
	if _, err := os.Stat(setting); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	stand := filepath.Join("/run/tunables", setting)
	if err := os.MkdirAll(filepath.Dir(stand), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(stand, []byte(value+"\n"), 0o644); err != nil {
		return err
	}
	return mount(stand, setting, "", syscall.MS_BIND, "")
}
