package supervise

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"tradewind.dev/tests/cluster/internal/control"
)

// A component that dies is started again at once the first time, and ever more
// slowly if it keeps dying young.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
	youth      = 10 * time.Second
)

// component keeps one process alive.
type component struct {
	name    string
	command []string
	log     string

	mutex    sync.Mutex
	changed  *sync.Cond
	process  *os.Process // nil while there is none
	stopped  bool        // asked to stay down
	frozen   bool
	restarts int
}

func newComponent(name, log string, command []string) *component {
	c := &component{name: name, command: command, log: log}
	c.changed = sync.NewCond(&c.mutex)
	return c
}

// keep runs the process for as long as the supervisor lives.
func (c *component) keep() {
	pause := firstPause
	for {
		c.mutex.Lock()
		for c.stopped {
			c.changed.Wait()
		}
		c.mutex.Unlock()
		begun := time.Now()
		err := c.run()
		if time.Since(begun) > youth {
			pause = firstPause
		}
		c.note(fmt.Sprintf("ended after %s (%v), starting again in %s", time.Since(begun).Round(time.Millisecond), err, pause))
		time.Sleep(pause)
		pause = min(2*pause, lastPause)
		c.mutex.Lock()
		c.restarts++
		c.mutex.Unlock()
	}
}

func (c *component) run() error {
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(c.command[0], c.command[1:]...)
	command.Stdout, command.Stderr = log, log
	command.Env = environment()
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return err
	}
	c.mutex.Lock()
	c.process, c.frozen = command.Process, false
	if c.stopped { // asked to stop between the decision to start and now
		_ = command.Process.Kill()
	}
	c.mutex.Unlock()
	err = command.Wait()
	c.mutex.Lock()
	c.process = nil
	c.mutex.Unlock()
	return err
}

// note leaves a line of the supervisor's in the component's own log.
func (c *component) note(line string) {
	log, err := os.OpenFile(c.log, os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return
	}
	defer log.Close()
	fmt.Fprintf(log, "supervisor: %s %s\n", c.name, line)
}

// act does to the component what a test asks for.
func (c *component) act(action control.Action) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	send := func(signal syscall.Signal) error {
		if c.process == nil {
			return fmt.Errorf("%s has no process at the moment", c.name)
		}
		return c.process.Signal(signal)
	}
	switch action {
	case control.Kill:
		return send(syscall.SIGKILL)
	case control.Stop:
		c.stopped = true
		if c.process == nil {
			return nil
		}
		return send(syscall.SIGKILL)
	case control.Start:
		c.stopped = false
		c.changed.Broadcast()
		return nil
	case control.Freeze:
		err := send(syscall.SIGSTOP)
		c.frozen = err == nil
		return err
	case control.Thaw:
		c.frozen = false
		return send(syscall.SIGCONT)
	}
	return fmt.Errorf("%q is nothing that can be done to a component", action)
}

func (c *component) status() control.Component {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	state := "up"
	switch {
	case c.stopped:
		state = "stopped"
	case c.process == nil:
		state = "restarting"
	case c.frozen:
		state = "frozen"
	}
	return control.Component{Name: c.name, State: state, Restarts: c.restarts}
}

// environment is all that components inherit. The caller's own environment
// stays out, for a proxy or a kubeconfig in it would lead them astray.
func environment() []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/",
		"LANG=C",
	}
}
