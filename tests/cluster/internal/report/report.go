// Package report tells the person at the terminal, or the log of a script,
// what is going on.
package report

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// patience is how long a step may take before it is announced.
const patience = 2 * time.Second

// reminder is how often a log, as against a terminal, hears of a long step.
const reminder = 15 * time.Second

// Output writes progress to one stream. Progress goes to the standard error
// stream, so that a program's answer can be read from its standard output.
type Output struct {
	file     *os.File
	terminal bool
	mutex    sync.Mutex
}

// New makes an Output for a stream and finds out whether it is a terminal.
func New(file *os.File) *Output {
	return &Output{file: file, terminal: IsTerminal(file)}
}

// IsTerminal says whether somebody sits at the other end of a stream. It heeds
// NO_COLOR and TERM=dumb, since colour is all that depends on the answer for
// lines that are printed once.
func IsTerminal(file *os.File) bool {
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	return os.Getenv("TERM") != "dumb" && os.Getenv("NO_COLOR") == "" && info.Name() != "null"
}

const (
	bold  = "\x1b[1m"
	green = "\x1b[32m"
	red   = "\x1b[31m"
	plain = "\x1b[0m"
	erase = "\r\x1b[K"
)

func (o *Output) paint(colour, text string) string {
	if !o.terminal {
		return text
	}
	return colour + text + plain
}

// Say prints one line.
func (o *Output) Say(format string, values ...any) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	fmt.Fprintf(o.file, format+"\n", values...)
}

// Fail prints an error.
func (o *Output) Fail(err error) {
	o.Say("%s %v", o.paint(red+bold, "error:"), err)
}

// A Step is a piece of work that may take a while.
type Step struct {
	output *Output
	begun  time.Time
	stop   chan struct{}
	done   sync.WaitGroup
	mutex  sync.Mutex
	name   string
	detail string
}

// Begin starts a step. Nothing is printed of steps that end soon.
func (o *Output) Begin(name string) *Step {
	step := &Step{output: o, name: name, begun: time.Now(), stop: make(chan struct{})}
	step.done.Go(step.watch)
	return step
}

// Detail says what the step is at; it appears with the next sign of life.
func (s *Step) Detail(format string, values ...any) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.detail = ": " + fmt.Sprintf(format, values...)
}

// End finishes the step and says how long it took.
func (s *Step) End(err error) {
	close(s.stop)
	s.done.Wait()
	mark := s.output.paint(green, "done")
	if err != nil {
		mark = s.output.paint(red, "failed")
	}
	if s.output.terminal {
		fmt.Fprint(s.output.file, erase)
	}
	s.output.Say("%s: %s in %s", s.name, mark, s.elapsed())
}

func (s *Step) elapsed() string {
	return fmt.Sprintf("%.1f s", time.Since(s.begun).Seconds())
}

func (s *Step) watch() {
	interval := reminder
	if s.output.terminal {
		interval = 250 * time.Millisecond
	}
	next := time.NewTimer(patience)
	defer next.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-next.C:
			s.show()
			next.Reset(interval)
		}
	}
}

func (s *Step) show() {
	s.mutex.Lock()
	line := fmt.Sprintf("%s%s ... %s", s.name, s.detail, s.elapsed())
	s.mutex.Unlock()
	if s.output.terminal {
		fmt.Fprint(s.output.file, erase+line)
		return
	}
	s.output.Say("%s", line)
}
