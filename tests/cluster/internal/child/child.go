// Package child runs programs that must not outlive this one.
package child

import (
	"os/exec"
	"runtime"
	"syscall"
)

// Run runs a command to its end. Should this process be killed, with no chance
// to tidy up, the kernel kills the command with it.
func Run(command *exec.Cmd) error {
	// The kernel's promise holds for the thread that starts the child, so the
	// thread must last as long as the child does.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	Bind(command)
	return command.Run()
}

// Bind makes the kernel kill a command, yet to be started, when the thread that
// starts it ends.
func Bind(command *exec.Cmd) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
