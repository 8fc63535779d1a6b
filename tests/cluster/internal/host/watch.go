package host

import (
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tradewind.dev/tests/cluster/internal/layout"
	"tradewind.dev/tests/cluster/internal/machine"
	"tradewind.dev/tests/cluster/internal/supervise"
)

// WatchCommand is the hidden command under which this program runs Watch.
const WatchCommand = "internal-watch"

// Descriptors that the watcher inherits from "up".
const (
	lifelineFD = 3 // ends when "up" does
	newsFD     = 4 // tells "up" that the cluster has died
	recordFD   = 5 // the cluster's locked record
)

// What "up" says over the lifeline before it closes it. Saying nothing means
// that it was interrupted or killed.
const (
	keepCluster = 'c'
	keepLogs    = 'l'
)

// Watch starts the namespace in which the cluster lives and stays outside it
// until it is gone, whatever the reason, to clear away what the kernel does
// not: cgroups, files and the record. If the watcher itself is killed, the
// kernel kills the cluster, and the next command clears away.
func Watch(dir string) error {
	for _, fd := range []int{lifelineFD, newsFD, recordFD} {
		syscall.CloseOnExec(fd) // or the cluster would keep its own record locked
	}
	id := layout.ID(dir)
	own := &record{os.NewFile(recordFD, "record"), filepath.Join(registryDir, id)}
	if err := own.write(dir, os.Getpid()); err != nil {
		return err
	}
	spec, err := layout.Read(dir)
	if err != nil {
		return err
	}
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGTERM, syscall.SIGINT)
	signal.Ignore(syscall.SIGHUP)

	namespace, err := startNamespace(dir)
	if err != nil {
		return errors.Join(err, clear(own, dir, false))
	}
	ended := make(chan error, 1)
	go func() { ended <- namespace.Wait() }()
	if err := linkHost(spec, namespace.Process.Pid); err != nil {
		log.Print(err) // the supervisor will miss its uplink and say so
	}
	logs := attend(namespace.Process, ended, quit, endOf(spec.With))
	return clear(own, dir, logs)
}

// startNamespace starts the supervisor below catatonit, which reaps the
// orphans that end up with the first process of a PID namespace.
func startNamespace(dir string) (*exec.Cmd, error) {
	// The kernel's promise to kill a child holds for the thread that made it.
	runtime.LockOSThread()
	files := layout.Files{Root: dir}
	output, err := os.OpenFile(files.Log("supervisor"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer output.Close()
	command := exec.Command("catatonit", "--", files.Bin("cluster"), supervise.Command, dir)
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
		Setsid:     true,
	}
	return command, command.Start()
}

// linkHost lays the one wire between the host and the cluster.
func linkHost(spec layout.Spec, namespace int) error {
	name := spec.HostInterface()
	for _, arguments := range [][]string{
		{"link", "add", name, "type", "veth", "peer", "name", supervise.Uplink, "netns", strconv.Itoa(namespace)},
		{"addr", "add", fmt.Sprintf("%s/%d", spec.Link.Host, layout.LinkBits), "dev", name},
		{"link", "set", name, "up"},
	} {
		if output, err := exec.Command("ip", arguments...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", arguments[1], err, output)
		}
	}
	return nil
}

// attend waits for the end of the cluster and brings it about when told to. It
// returns whether somebody still wants to read the logs.
func attend(namespace *os.Process, ended <-chan error, quit <-chan os.Signal, alone <-chan struct{}) (logs bool) {
	words := listen()
	kept := false
	for {
		select {
		case <-quit:
			_ = namespace.Kill()
			<-ended
			return false
		case <-alone:
			log.Print("the process that the cluster was made for has ended")
			_ = namespace.Kill()
			<-ended
			return false
		case word := <-words:
			switch {
			case word == keepCluster:
				kept = true
			case !kept:
				_ = namespace.Kill()
				<-ended
				return word == keepLogs
			}
			words = nil
		case err := <-ended:
			log.Printf("the cluster ended: %v", err)
			if kept || words == nil {
				return false
			}
			_, _ = os.NewFile(newsFD, "news").Write([]byte("ended\n"))
			select {
			case word := <-words:
				return word == keepLogs
			case <-time.After(10 * time.Second):
				return false
			}
		}
	}
}

// endOf closes the channel when the process has ended; nil, which never is
// closed, stands for no process.
func endOf(process int) <-chan struct{} {
	if process == 0 {
		return nil
	}
	ended := make(chan struct{})
	handle, err := unix.PidfdOpen(process, 0)
	if err != nil {
		close(ended) // it was there when "up" looked
		return ended
	}
	go func() {
		defer close(ended)
		for {
			watched := []unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}
			if _, err := unix.Poll(watched, -1); !errors.Is(err, unix.EINTR) {
				return
			}
		}
	}()
	return ended
}

// listen passes on what comes over the lifeline; 0 stands for its end.
func listen() <-chan byte {
	words := make(chan byte, 1)
	go func() {
		word := make([]byte, 1)
		_, _ = os.NewFile(lifelineFD, "lifeline").Read(word)
		words <- word[0]
	}()
	return words
}

// clear removes everything of a dead cluster but, if wanted, its logs.
func clear(own *record, dir string, logs bool) error {
	spec := layout.Spec{ID: layout.ID(dir)}
	// The interface goes with the namespace, but in the kernel's own time.
	_ = exec.Command("ip", "link", "delete", spec.HostInterface()).Run()
	err := machine.RemoveCgroup(spec.Cgroup())
	err = errors.Join(err, layout.Files{Root: dir}.Remove(logs))
	own.remove()
	return err
}
