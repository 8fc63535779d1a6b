package child

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets this very program play the parent that is killed.
func TestMain(m *testing.M) {
	if os.Getenv("PLAY_PARENT") != "" {
		command := exec.Command("sh", "-c", "echo $$; exec sleep 60")
		command.Stdout = os.Stdout
		_ = Run(command)
		return
	}
	os.Exit(m.Run())
}

func TestTheChildDiesWithItsParent(t *testing.T) {
	parent := exec.Command("/proc/self/exe")
	parent.Env = append(os.Environ(), "PLAY_PARENT=yes")
	output, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 32)
	count, err := output.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(bytes.TrimRight(line[:count], "\x00"))))
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	for deadline := time.Now().Add(5 * time.Second); running(child); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(child, syscall.SIGKILL)
			t.Fatal("the child lives on")
		}
	}
}

// running says whether a process is there and no mere zombie.
func running(process int) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(process) + "/stat")
	return err == nil && !bytes.Contains(text, []byte(") Z "))
}
