// Package machine knows the computer that clusters run on: what it must offer,
// how to get what is missing, its CPUs, its cgroups and its routes.
package machine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A requirement is one program or file, and the Debian package that brings it.
type requirement struct {
	what string // a program looked up in PATH, or an absolute path
	from string // the Debian package
}

var requirements = []requirement{
	{"containerd", "containerd"},
	{"ctr", "containerd"},
	{"runc", "runc"},
	{"/usr/lib/cni/bridge", "containernetworking-plugins"},
	{"/usr/lib/cni/portmap", "containernetworking-plugins"},
	{"iptables", "iptables"},
	{"catatonit", "catatonit"},
	{"busybox", "busybox-static"},
	{"buildah", "buildah"},
	{"ip", "iproute2"},
	{"nsenter", "util-linux"},
	{"unshare", "util-linux"},
}

// MissingError names everything that a machine lacks and how to get it.
type MissingError struct {
	What     []string // what is missing, one finding each
	Packages []string // the Debian packages that would help, sorted
}

func (e *MissingError) Error() string {
	text := "this machine lacks:\n  " + strings.Join(e.What, "\n  ")
	if len(e.Packages) > 0 {
		text += "\ninstall it with (or run again with --install):\n  " + installLine(e.Packages)
	}
	return text
}

func installLine(packages []string) string {
	return "apt-get update && apt-get install -y --no-install-recommends " + strings.Join(packages, " ")
}

// A probe answers what Check asks about the machine, so that tests can answer
// for machines they do not have.
type probe struct {
	root     func() bool
	has      func(what string) bool
	kernel   func() []string
	cgroups  func() error
	compiler func() bool
}

// Check finds out whether clusters can run here. Its error is a
// *MissingError that names all that is missing at once.
func Check() error {
	return probe{
		root:     func() bool { return os.Geteuid() == 0 },
		has:      installed,
		kernel:   missingKernelFeatures,
		cgroups:  cgroupsUsable,
		compiler: func() bool { return installed("go") },
	}.check()
}

func (p probe) check() error {
	missing := &MissingError{}
	if !p.root() {
		missing.What = append(missing.What, "root: network namespaces, mounts and cgroups need it (run as root or with sudo)")
	}
	for _, need := range requirements {
		if p.has(need.what) {
			continue
		}
		missing.What = append(missing.What, fmt.Sprintf("%s (Debian package %s)", need.what, need.from))
		if !slices.Contains(missing.Packages, need.from) {
			missing.Packages = append(missing.Packages, need.from)
		}
	}
	slices.Sort(missing.Packages)
	if !p.compiler() {
		missing.What = append(missing.What, "go: the Go toolchain that go.mod names, in PATH")
	}
	missing.What = append(missing.What, p.kernel()...)
	if err := p.cgroups(); err != nil {
		missing.What = append(missing.What, err.Error())
	}
	if len(missing.What) == 0 {
		return nil
	}
	return missing
}

func installed(what string) bool {
	if filepath.IsAbs(what) {
		_, err := os.Stat(what)
		return err == nil
	}
	_, err := exec.LookPath(what)
	return err == nil
}

// missingKernelFeatures loads the modules that clusters use and names those
// that are neither built in nor to be loaded.
func missingKernelFeatures() []string {
	var missing []string
	for _, feature := range []struct{ module, sign, why string }{
		{"overlay", "/sys/module/overlay", "containers' root file systems"},
		{"br_netfilter", "/proc/sys/net/bridge/bridge-nf-call-iptables", "Services that lead back to the same node"},
		{"nf_conntrack", "/proc/sys/net/netfilter/nf_conntrack_max", "Services"},
	} {
		if _, err := os.Stat(feature.sign); err == nil {
			continue
		}
		_ = exec.Command("modprobe", feature.module).Run()
		if _, err := os.Stat(feature.sign); err == nil || feature.module == "overlay" && filesystemKnown("overlay") {
			continue
		}
		missing = append(missing, fmt.Sprintf("the kernel module %s, for %s (modprobe %s)", feature.module, feature.why, feature.module))
	}
	return missing
}

func filesystemKnown(name string) bool {
	text, _ := os.ReadFile("/proc/filesystems")
	return slices.Contains(strings.Fields(string(text)), name)
}

// Install brings in the Debian packages that err, if it is a *MissingError,
// names. It returns nil without doing anything if no package would help.
func Install(err error, log *os.File) error {
	var missing *MissingError
	if !errors.As(err, &missing) || len(missing.Packages) == 0 {
		return nil
	}
	if !installed("apt-get") {
		return errors.New("--install knows Debian's apt-get alone, and this machine has none; install by hand: " + strings.Join(missing.Packages, " "))
	}
	for _, arguments := range [][]string{
		{"update", "-qq"},
		append([]string{"install", "-y", "-qq", "--no-install-recommends"}, missing.Packages...),
	} {
		command := exec.Command("apt-get", arguments...)
		command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		command.Stdout, command.Stderr = log, log
		if err := command.Run(); err != nil {
			return fmt.Errorf("apt-get %s: %w", arguments[0], err)
		}
	}
	return nil
}
