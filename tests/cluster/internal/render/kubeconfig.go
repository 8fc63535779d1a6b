// Package render writes the configuration of every program in a cluster. All
// of it is pure text from a layout.Spec, so that it can be tested without a
// cluster. Paths in it are those that the cluster's own processes see.
package render

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"

	"tradewind.dev/tests/cluster/internal/layout"
)

// Inside are the cluster's files as its own processes see them.
var Inside = layout.Files{Root: layout.Inside}

// Kubeconfig gives a client everything it needs in one file, so that the file
// may be copied anywhere.
func Kubeconfig(files layout.Files, client, server string) ([]byte, error) {
	read := func(path string) (string, error) {
		text, err := os.ReadFile(path)
		return base64.StdEncoding.EncodeToString(text), err
	}
	authority, err := read(files.Certificate("ca"))
	if err != nil {
		return nil, err
	}
	certificate, err := read(files.Certificate(client))
	if err != nil {
		return nil, err
	}
	key, err := read(files.Key(client))
	if err != nil {
		return nil, err
	}
	const name = "tradewind"
	type object map[string]any
	text, err := json.MarshalIndent(object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": name,
		"contexts":        []object{{"name": name, "context": object{"cluster": name, "user": client}}},
		"clusters":        []object{{"name": name, "cluster": object{"server": server, "certificate-authority-data": authority}}},
		"users":           []object{{"name": client, "user": object{"client-certificate-data": certificate, "client-key-data": key}}},
	}, "", "  ")
	return append(text, '\n'), err
}

// InnerServer is the API server's URL for the cluster's own processes.
func InnerServer() string {
	return fmt.Sprintf("https://%s:%d", layout.ControlAddress, layout.APIPort)
}
