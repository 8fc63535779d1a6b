package artifact

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"tradewind.dev/tests/cluster/internal/child"
	"tradewind.dev/tests/cluster/internal/report"
)

// A binary is one static program built from this module's go.mod.
type binary struct {
	name    string
	pkg     string
	module  string // the module whose version the program should report
	ldflags func(version string) string
}

var binaries = []binary{
	{"kube", "./kube", "k8s.io/kubernetes", kubernetesVersion},
	{"nats-server", "github.com/nats-io/nats-server/v2", "github.com/nats-io/nats-server/v2", func(string) string { return "" }},
}

// kubernetesVersion makes every program say which release it is. Without it,
// "kubectl version" and the kubeVersion of Helm charts see v0.0.0.
func kubernetesVersion(version string) string {
	numbers := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	if len(numbers) < 3 {
		return ""
	}
	var flags []string
	for _, field := range [][2]string{
		{"gitVersion", version}, {"gitMajor", numbers[0]}, {"gitMinor", numbers[1]},
		{"gitTreeState", "clean"}, {"gitCommit", version},
	} {
		flags = append(flags, fmt.Sprintf("-X k8s.io/component-base/version.%s=%s", field[0], field[1]))
	}
	return strings.Join(flags, " ")
}

// Binaries brings the Go programs up to date.
func (c Cache) Binaries(ctx context.Context, output *report.Output) error {
	unlock, err := c.lock(ctx, output)
	if err != nil {
		return err
	}
	defer unlock()
	toolchain, err := exec.Command("go", "env", "GOVERSION", "GOARCH").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	sources, err := filepath.Glob(filepath.Join(c.Source, "kube", "*.go"))
	if err != nil {
		return err
	}
	sources = append(sources, filepath.Join(c.Source, "go.mod"), filepath.Join(c.Source, "go.sum"))
	for _, program := range binaries {
		version, err := c.moduleVersion(program.module)
		if err != nil {
			return err
		}
		flags := "-s -w " + program.ldflags(version)
		inputs, err := digest([]string{program.pkg, flags, string(toolchain)}, sources...)
		if err != nil {
			return err
		}
		if c.fresh(program.name, inputs) {
			continue
		}
		if err := c.compile(ctx, program, flags, output); err != nil {
			return err
		}
		if err := c.stamp(program.name, inputs); err != nil {
			return err
		}
	}
	return nil
}

func (c Cache) moduleVersion(module string) (string, error) {
	text, err := os.ReadFile(filepath.Join(c.Source, "go.mod"))
	if err != nil {
		return "", err
	}
	if version := requiredVersion(text, module); version != "" {
		return version, nil
	}
	return "", fmt.Errorf("go.mod requires no %s", module)
}

func requiredVersion(mod []byte, module string) string {
	for line := range strings.Lines(string(mod)) {
		words := strings.Fields(line)
		if len(words) >= 2 && words[0] == module && strings.HasPrefix(words[1], "v") {
			return words[1]
		}
	}
	return ""
}

// compile builds beside the final name and renames, because a running cluster
// may still be executing the old file.
func (c Cache) compile(ctx context.Context, program binary, flags string, output *report.Output) (err error) {
	step := output.Begin("building " + program.name)
	defer func() { step.End(err) }()
	step.Detail("compiling, a few minutes the first time")
	fresh := c.Path(program.name + ".new")
	command := exec.CommandContext(ctx, "go", "build", "-v", "-trimpath", "-mod=readonly", "-o", fresh, "-ldflags", flags, program.pkg)
	command.Dir = c.Source
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	runtime.LockOSThread() // see child.Bind
	defer runtime.UnlockOSThread()
	child.Bind(command)
	stderr, err := command.StderrPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	complaints := follow(stderr, step)
	if err := command.Wait(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", program.pkg, err, complaints)
	}
	return os.Rename(fresh, c.Path(program.name))
}

// follow counts the packages that the compiler names and keeps everything else
// it says, which is what one wants to read when it fails.
func follow(stderr io.Reader, step *report.Step) []byte {
	var complaints bytes.Buffer
	packages := 0
	for scanner := bufio.NewScanner(stderr); scanner.Scan(); {
		line := scanner.Text()
		if strings.ContainsAny(line, " :#") {
			complaints.WriteString(line + "\n")
			continue
		}
		packages++
		step.Detail("%d packages compiled", packages)
	}
	return bytes.TrimSpace(complaints.Bytes())
}
