//go:build cluster

// The end-to-end test of this program. It needs root and a few minutes:
//
//	go test -tags cluster -count=1 -v .
package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tradewind.dev/tests/cluster/internal/control"
	"tradewind.dev/tests/cluster/internal/host"
	"tradewind.dev/tests/cluster/internal/layout"
)

// bench is the program under test with a directory to work in.
type bench struct {
	*testing.T
	program string
	dir     string
}

func newBench(t *testing.T) bench {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("clusters need root")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "cluster")
	source, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TRADEWIND_CLUSTER_SOURCE", source)
	if text, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	b := bench{t, program, dir}
	b.must("build")
	return b
}

// try runs the program and returns what it printed and its exit code.
func (b bench) try(arguments ...string) (string, int) {
	b.Helper()
	command := exec.Command(b.program, arguments...)
	text, err := command.CombinedOutput()
	if command.ProcessState == nil {
		b.Fatal(err)
	}
	return string(text), command.ProcessState.ExitCode()
}

func (b bench) must(arguments ...string) string {
	b.Helper()
	text, code := b.try(arguments...)
	if code != 0 {
		b.Fatalf("cluster %s: exit code %d\n%s", strings.Join(arguments, " "), code, text)
	}
	return text
}

func (b bench) kubectl(dir string, arguments ...string) string {
	b.Helper()
	return b.must(append([]string{"kubectl", "--dir", dir, "--"}, arguments...)...)
}

// up brings a cluster up and sees to it that it goes away.
func (b bench) up(name, nodes string, more ...string) string {
	b.Helper()
	dir := filepath.Join(b.dir, name)
	b.Cleanup(func() { _, _ = b.try("down", "--dir", dir) })
	begun := time.Now()
	b.must(append([]string{"up", "--dir", dir, "--nodes", nodes}, more...)...)
	b.Logf("%s: up in %.1f s", nodes, time.Since(begun).Seconds())
	return dir
}

func (b bench) eventually(what string, within time.Duration, holds func() bool) {
	b.Helper()
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if holds() {
			return
		}
	}
	b.Fatalf("not within %s: %s", within, what)
}

// marker is a variable that processes started by an interrupted program
// inherit, so that they are found whatever their own arguments are.
const marker = "TRADEWIND_CLUSTER_TRACE"

// traces lists everything on the host that belongs to the cluster in dir.
func traces(dir, id string) []string {
	var found []string
	add := func(kind, what string) { found = append(found, kind+" "+what) }
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, path := range processes {
		text, _ := os.ReadFile(filepath.Join(path, "cmdline"))
		inherited, _ := os.ReadFile(filepath.Join(path, "environ"))
		if strings.Contains(string(text), dir) || strings.Contains(string(inherited), marker+"="+dir) {
			add("process", strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, dir) || strings.Contains(line, id) {
			add("mount", line)
		}
	}
	interfaces, _ := net.Interfaces()
	for _, one := range interfaces {
		if strings.Contains(one.Name, id) {
			add("interface", one.Name)
		}
	}
	for _, pattern := range []string{"/sys/fs/cgroup/*" + id, "/sys/fs/cgroup/*/*" + id, "/run/tradewind-cluster/" + id, dir} {
		matches, _ := filepath.Glob(pattern)
		for _, match := range matches {
			add("file", match)
		}
	}
	return found
}

// id is the part of a cluster's names that tells it from others.
func id(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "cluster.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), `"id": "`)
	found, _, _ := strings.Cut(rest, `"`)
	return found
}

// supervisor finds the process that everything in the cluster hangs from.
func supervisor(t *testing.T, dir, role string) int {
	t.Helper()
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range processes {
		text, _ := os.ReadFile(path)
		words := strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
		if slices.Equal(words, []string{filepath.Join(dir, "bin", "cluster"), role, dir}) {
			number, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				t.Fatal(err)
			}
			return number
		}
	}
	t.Fatalf("no %s for %s", role, dir)
	return 0
}

func (b bench) gone(what, dir, id string) {
	b.Helper()
	var left []string
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if left = traces(dir, id); len(left) == 0 {
			return
		}
	}
	b.Fatalf("left after %s:\n%s", what, strings.Join(left, "\n"))
}

func TestWorkload(t *testing.T) {
	b := newBench(t)
	dir := b.up("work", "general,dedicated,dedicated")
	b.kubectl(dir, "apply", "-f", "testdata/workload.yaml")
	b.kubectl(dir, "wait", "-n", "trial", "--for=condition=Ready", "pod", "--all", "--timeout=60s")

	t.Run("exclusive CPU", func(t *testing.T) {
		text := b.kubectl(dir, "exec", "-n", "trial", "pinned", "--", "/bin/busybox", "grep", "Cpus_allowed_list", "/proc/self/status")
		if list := strings.TrimSpace(strings.TrimPrefix(text, "Cpus_allowed_list:")); strings.ContainsAny(list, ",-") {
			t.Fatalf("the pinned pod may run on CPUs %s", list)
		}
	})
	t.Run("service by name", func(t *testing.T) {
		const url = "http://server.trial.svc.cluster.local/hostname"
		for _, pod := range []string{"pinned", "server"} { // from another node, and through the Service back to itself
			// Ready says that the pod's own port answers, not that every node's kube-proxy has heard of it.
			b.eventually(pod+" to reach the Service", 30*time.Second, func() bool {
				text, _ := b.try("kubectl", "--dir", dir, "--", "exec", "-n", "trial", pod, "--", "/bin/busybox", "wget", "-qO-", url)
				return strings.TrimSpace(text) == "server"
			})
		}
	})
	t.Run("volume", func(t *testing.T) {
		text := b.kubectl(dir, "exec", "-n", "trial", "writer", "--", "/bin/busybox", "cat", "/data/file")
		if strings.TrimSpace(text) != "written" {
			t.Fatalf("read %q", text)
		}
		name := b.kubectl(dir, "get", "-n", "trial", "pvc", "data", "-o", "jsonpath={.spec.volumeName}")
		b.kubectl(dir, "delete", "-n", "trial", "pod/writer", "pvc/data", "--grace-period=1")
		b.kubectl(dir, "wait", "pv", name, "--for=jsonpath={.status.phase}=Available", "--timeout=20s")
		if left, _ := filepath.Glob(filepath.Join(dir, "node*/lib/tradewind/volumes/*/file")); len(left) > 0 {
			t.Fatalf("the data are still there: %v", left)
		}
	})
	t.Run("pod security", func(t *testing.T) {
		text, code := b.try("kubectl", "--dir", dir, "--", "run", "-n", "trial", "careless", "--image=tradewind.dev/busybox:1")
		if code == 0 || !strings.Contains(text, "violates PodSecurity") {
			t.Fatalf("%d %s", code, text)
		}
	})
	t.Run("own image", func(t *testing.T) { ownImage(t, b, dir) })
	t.Run("audit log", func(t *testing.T) {
		text, err := os.ReadFile(filepath.Join(dir, "audit.log"))
		if err != nil || !strings.Contains(string(text), `"level":"Metadata"`) || !strings.Contains(string(text), `"name":"pinned"`) {
			t.Fatalf("%.300s %v", text, err)
		}
	})
	t.Run("faults", func(t *testing.T) { faults(t, b, dir) })
}

// ownImage builds an image from a Containerfile, loads it and runs it.
func ownImage(t *testing.T, b bench, dir string) {
	context := t.TempDir()
	containerfile := filepath.Join(context, "Containerfile")
	for name, text := range map[string]string{containerfile: "FROM scratch\nCOPY busybox /busybox\n", filepath.Join(context, "busybox"): ""} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(filepath.Join(context, "busybox"), text, 0o755)
	}
	if err == nil {
		err = os.Chmod(filepath.Join(context, "busybox"), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(context, "own.tar")
	b.must("image", "--containerfile", containerfile, "--context", context, "--tag", "tradewind.dev/own:7", "--output", archive)
	b.must("load", dir, "--image", archive)
	b.kubectl(dir, "run", "own", "--image=tradewind.dev/own:7", "--restart=Never", "--command", "--", "/busybox", "true")
	b.kubectl(dir, "wait", "pod", "own", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s")
}

func faults(t *testing.T, b bench, dir string) {
	b.must("kill", dir, "apiserver")
	b.eventually("API server back after SIGKILL", 30*time.Second, func() bool {
		text, code := b.try("kubectl", "--dir", dir, "--", "get", "--raw", "/readyz")
		status, _ := b.try("status", "--dir", dir)
		return code == 0 && text == "ok" && strings.Contains(strings.Join(strings.Fields(status), " "), "apiserver up 1")
	})
	for _, process := range []string{"etcd", "containerd1", "kubelet1"} {
		b.must("kill", "--dir", dir, process)
	}
	b.eventually("pods start after etcd, containerd and kubelet were killed", 30*time.Second, func() bool {
		_, code := b.try("kubectl", "--dir", dir, "--", "apply", "-f", "testdata/after.yaml")
		return code == 0
	})
	b.kubectl(dir, "wait", "pod", "after", "--for=condition=Ready", "--timeout=60s")
	before := b.kubectl(dir, "get", "-n", "trial", "pod", "pinned", "-o", "jsonpath={.status.containerStatuses[0].restartCount}")
	if before != "0" {
		t.Errorf("the pinned pod was restarted %s times", before)
	}
	if text, code := b.try("kill", "--dir", dir, "nobody"); code != exitFailed || !strings.Contains(text, "no component") {
		t.Errorf("%d %s", code, text)
	}
}

func TestSideBySideAndNothingLeft(t *testing.T) {
	b := newBench(t)
	one := b.up("one", "general,dedicated")
	two := b.up("two", "general")
	oneID, twoID := id(t, one), id(t, two)
	list := b.must("list")
	if !strings.Contains(list, one) || !strings.Contains(list, two) {
		t.Fatal(list)
	}
	if text, code := b.try("up", "--dir", one); code != exitRunning {
		t.Fatalf("a second cluster in one directory: %d %s", code, text)
	}
	b.kubectl(one, "create", "namespace", "only-here")
	if _, code := b.try("kubectl", "--dir", two, "--", "get", "namespace", "only-here"); code == 0 {
		t.Fatal("the two clusters are one")
	}
	if len(traces(one, oneID)) == 0 {
		t.Fatal("traces finds nothing, so finding nothing means nothing")
	}
	b.must("down", "--dir", one)
	if left := traces(one, oneID); len(left) > 0 {
		t.Fatalf("left after down:\n%s", strings.Join(left, "\n"))
	}
	b.kubectl(two, "get", "nodes")

	if err := syscall.Kill(supervisor(t, two, "internal-supervise"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.gone("kill -9 of the supervisor", two, twoID)
	if _, code := b.try("kubeconfig", "--dir", two); code != exitNotRunning {
		t.Fatalf("exit code %d", code)
	}
}

func TestNothingLeftOfAnInterruptedStart(t *testing.T) {
	b := newBench(t)
	for _, test := range []struct {
		name   string
		signal syscall.Signal
		code   int
	}{{"ctrl-c", syscall.SIGINT, exitInterrupted}, {"kill", syscall.SIGKILL, -1}} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(b.dir, test.name)
			command := exec.Command(b.program, "up", "--dir", dir)
			command.Env = append(os.Environ(), marker+"="+dir)
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			b.eventually("the supervisor to say that kubelet0 runs", 60*time.Second, func() bool {
				reply, err := host.Ask(layout.Spec{Dir: dir}, control.Request{Action: control.Status})
				up := func(one control.Component) bool { return one.Name == "kubelet0" && one.State == "up" }
				return err == nil && slices.ContainsFunc(reply.Components, up)
			})
			name := id(t, dir)
			if err := command.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
			_ = command.Wait()
			if code := command.ProcessState.ExitCode(); code != test.code {
				t.Errorf("exit code %d", code)
			}
			b.gone(test.name, dir, name)
		})
	}
}

func TestAClusterDoesNotOutliveTheProcessThatItIsFor(t *testing.T) {
	b := newBench(t)
	owner := exec.Command("cat")
	input, err := owner.StdinPipe() // cat waits for it
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	dir := b.up("owned", "general", "--with", strconv.Itoa(owner.Process.Pid))
	name := id(t, dir)
	b.kubectl(dir, "get", "nodes")
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait()
	b.gone("end of its process", dir, name)
	if text, code := b.try("up", "--dir", dir, "--with", strconv.Itoa(owner.Process.Pid)); code != exitUsage {
		t.Fatalf("a cluster for a process that is gone: %d %s", code, text)
	}
}

func TestTheNextCommandClearsAwayAfterAKilledWatcher(t *testing.T) {
	b := newBench(t)
	dir := b.up("watched", "general")
	name := id(t, dir)
	if err := syscall.Kill(supervisor(t, dir, "internal-watch"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.eventually("end of the cluster", 10*time.Second, func() bool {
		return !strings.Contains(fmt.Sprint(traces(dir, name)), "process ")
	})
	if list := b.must("list"); strings.Contains(list, dir) {
		t.Fatal(list)
	}
	b.gone("cluster list", dir, name)
}
