package render

import (
	"embed"
	"fmt"
	"strings"
	"text/template"

	"tradewind.dev/tests/cluster/internal/layout"
)

//go:embed manifests
var manifests embed.FS

// A Manifest is one object, in YAML, and the API path it belongs at.
type Manifest struct {
	Path string
	Body []byte
}

// DNS is everything that cluster DNS consists of.
func DNS() []Manifest {
	return load("manifests/dns.yaml", map[string]string{"Address": layout.DNSAddress})
}

// Storage is the class of the nodes' local volumes.
func Storage() []Manifest { return load("manifests/storage.yaml", nil) }

// VolumeName names the volume with the given number on a node.
func VolumeName(node layout.Node, number int) string {
	return fmt.Sprintf("local-%s-%d", node.Name, number)
}

// Volume is one local volume of a node.
func Volume(node layout.Node, number int) Manifest {
	return load("manifests/volume.yaml", map[string]string{
		"Name": VolumeName(node, number),
		"Node": node.Name,
		"Path": fmt.Sprintf("%s/%d", layout.VolumesPath, number),
	})[0]
}

// load fills in a file of manifests. Each document in it starts with a comment
// that holds its path, which spares this program the discovery of API types.
func load(file string, values any) []Manifest {
	text, err := manifests.ReadFile(file)
	if err != nil {
		panic(err) // the file is part of this program
	}
	filled := string(fill(template.Must(template.New(file).Parse(string(text))), values))
	var found []Manifest
	for document := range strings.SplitSeq(filled, "\n---\n") {
		path, body, _ := strings.Cut(document, "\n")
		found = append(found, Manifest{Path: strings.TrimPrefix(path, "# "), Body: []byte(body)})
	}
	return found
}
