// Package control is how the host talks to the supervisor of a cluster: one
// request and one reply, in JSON, for each connection to a socket.
package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Action is something that the supervisor can be asked to do.
type Action string

// The faults that tests inject, and the question how the cluster is doing.
const (
	Status Action = "status"
	Kill   Action = "kill"   // SIGKILL; the supervisor starts it again
	Stop   Action = "stop"   // SIGKILL, and down until Start
	Start  Action = "start"  // ends Stop
	Freeze Action = "freeze" // SIGSTOP: alive, and silent
	Thaw   Action = "thaw"   // ends Freeze
	Cut    Action = "cut"    // unplugs a node from the network
	Mend   Action = "mend"   // ends Cut
)

// Request asks for an action on one component or, for Cut and Mend, one node.
type Request struct {
	Action Action `json:"action"`
	Target string `json:"target,omitempty"`
}

// Component is the state of one supervised process.
type Component struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	Restarts int    `json:"restarts"`
}

// Reply answers every request.
type Reply struct {
	Error string `json:"error,omitempty"`
	// Phase is the part of starting up that is going on, or Running.
	Phase      string      `json:"phase"`
	Components []Component `json:"components"`
}

// Running is the phase of a cluster whose processes are all being kept alive;
// Components says which of them are there already.
const Running = "running"

// patience bounds one exchange; everything that is asked for is quick.
const patience = 10 * time.Second

// Serve answers requests until the listener is closed.
func Serve(listener net.Listener, handle func(Request) Reply) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer connection.Close()
			_ = connection.SetDeadline(time.Now().Add(patience))
			var request Request
			if json.NewDecoder(connection).Decode(&request) == nil {
				_ = json.NewEncoder(connection).Encode(handle(request))
			}
		}()
	}
}

// Call sends one request to the socket at path.
func Call(path string, request Request) (Reply, error) {
	var reply Reply
	connection, err := Dial(path)
	if err != nil {
		return reply, err
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(patience))
	if err := json.NewEncoder(connection).Encode(request); err != nil {
		return reply, err
	}
	if err := json.NewDecoder(connection).Decode(&reply); err != nil {
		return reply, fmt.Errorf("the supervisor gave no answer: %w", err)
	}
	if reply.Error != "" {
		return reply, errors.New(reply.Error)
	}
	return reply, nil
}

// Dial goes through the directory's descriptor, because a socket's path ends
// at 107 bytes and the directory may lie deeper than that.
func Dial(path string) (net.Conn, error) {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return net.DialTimeout("unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)), patience)
}
